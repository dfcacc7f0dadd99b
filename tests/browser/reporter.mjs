// Prints a line for each test, what went wrong, and at the end how many passed and failed.

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    // A file is a suite of its own; only what stands in it counts.
    const counts = data?.details?.type !== "suite" && data?.nesting === 0;
    if (type === "test:pass" && counts) {
      passed += 1;
      yield `ok ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
    } else if (type === "test:fail" && counts) {
      failed += 1;
      const { error } = data.details;
      const cause = error.cause ?? error;
      yield `FAILED ${data.name}\n${cause.stack ?? cause}\n`;
    } else if (type === "test:stdout" || type === "test:stderr") {
      yield data.message;
    }
  }
  yield `${failed ? "FAILED" : "ok"}: ${passed} passed, ${failed} failed\n`;
}
