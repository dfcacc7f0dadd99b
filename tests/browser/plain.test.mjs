// The same without JavaScript: forms and reloading.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { entry, PATIENCE, person, propose, startBrowser, startDemo } from "./demo.mjs";

let demo;
let browser;

before(async () => {
  [demo, browser] = await Promise.all([startDemo(), startBrowser()]);
});

after(async () => {
  await browser.close();
  await demo.stop();
});

/** Reloads until the text is there, as one does. */
async function reloaded(page, text) {
  const until = Date.now() + PATIENCE;
  while (!(await page.getByText(text).first().isVisible())) {
    assert(Date.now() < until, `"${text}" does not come: ${await page.locator("main").innerText()}`);
    await page.waitForTimeout(200);
    await page.reload();
  }
}

test("a change is proposed, planned, merged and seen without a line of JavaScript", async () => {
  const { page, go, end } = await person(browser, demo.url, { javaScriptEnabled: false });
  await go("/");
  await page.getByText("Reload to see what has changed.").waitFor();
  await propose(page, go, "Add plain", (text) => text + entry("plain"));
  await reloaded(page, "It can be merged.");
  await page.getByRole("heading", { name: "Plan: 1 tenant added" }).waitFor();
  await page.getByRole("button", { name: "Merge pull request" }).click();
  await page.getByRole("status").getByText("Merged", { exact: true }).waitFor();
  await reloaded(page, /1 tenant (added|live)/);
  await page.getByRole("link", { name: "Cluster", exact: true }).click();
  await reloaded(page, "tenant-plain");
  await page.getByRole("link", { name: "tenant-plain" }).click();
  await page.getByText("kind: Namespace").waitFor();
  await end();
});
