// A running demo, and a browser that looks at it and minds what a person would mind: errors, and requests to elsewhere.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Longer than anything takes that is waited for. */
export const PATIENCE = 60_000;

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts `tenantry demo`; gives its address and a way to end it. */
export async function startDemo() {
  const program = process.env.TENANTRY_TEST_PROGRAM;
  assert(program, "TENANTRY_TEST_PROGRAM names the program; tests/browser/run sets it");
  const demo = spawn(program, ["demo"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(demo, "exit");
  const told = [];
  const url = await Promise.race([
    address(demo.stdout, told),
    ended.then(([status]) => assert.fail(`the demo ended with ${status}:\n${told.join("\n")}`)),
  ]);
  const stop = async () => {
    demo.kill("SIGINT");
    const [status, signal] = await ended;
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, "Ctrl-C ends it cleanly");
  };
  return { url, stop };
}

/** The address that the demo prints for a browser; what it prints afterwards is read and dropped. */
function address(output, told) {
  return new Promise((resolve) => {
    createInterface({ input: output }).on("line", (line) => {
      told.push(line);
      const found = line.match(/^\s*Open (http:\/\/127\.0\.0\.1:\d+)/);
      if (found) resolve(found[1]);
    });
  });
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.TENANTRY_TEST_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      // It sees the demo's own pages and nothing else, and in many containers its sandbox does not start.
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A person with a browser of their own. `complaints` collects what must not happen; `end` asserts that nothing did.
 * `expected` are statuses with which the server may refuse what is tried.
 */
export async function person(browser, url, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const complaints = [];
  await context.route("**", (route) => {
    if (new URL(route.request().url()).origin === url) return route.continue();
    complaints.push(`a request to ${route.request().url()}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => complaints.push(`an error: ${error.message}`));
  page.on("console", (message) => {
    const refused = expected.some((status) => message.text().includes(`status of ${status}`));
    if (["error", "warning"].includes(message.type()) && !refused) complaints.push(`the console: ${message.text()}`);
  });
  const end = async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  };
  return { page, end, go: (path) => page.goto(url + path) };
}

/** Everything that axe-core objects to on the page as it is, one line each. */
export async function objections(page) {
  // Not as a <script>, which the page's own policy refuses.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } });
    return violations;
  });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} (${node.failureSummary})`));
}

/** By how many pixels the page is wider than its window. */
export const overhang = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** An entry of `tenants.yaml` with a namespace of its own name. */
export function entry(name, { team = "ai-team", more = [] } = {}) {
  const namespaces = [`{name: ${name}}`, ...more].join(", ");
  return `- name: ${name}\n  namespaces: [${namespaces}]\n  githubTeams: [{name: ${team}}]\n`;
}

/** Changes the file in the editor and proposes it. */
export async function propose(page, go, title, change) {
  await go("/edit");
  const text = page.locator("#text");
  await text.fill(change(await text.inputValue()));
  await page.getByLabel("Title").fill(title);
  await page.getByRole("button", { name: "Propose change" }).click();
  await page.waitForURL(/\/pulls\/\d+/);
}
