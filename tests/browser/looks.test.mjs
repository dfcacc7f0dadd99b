// How every page looks: both themes, three widths, large print, and nothing that axe-core objects to.
// With TENANTRY_TEST_SCREENSHOTS=DIR the pictures are kept there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { entry, objections, overhang, person, propose, startBrowser, startDemo } from "./demo.mjs";

const THEMES = ["light", "dark"];
const WIDTHS = [360, 768, 1280];
/** A window of 1280 pixels at 200 % and at 400 % has room for so many. */
const LARGE_PRINT = [640, 320];
const FOLDER = process.env.TENANTRY_TEST_SCREENSHOTS;

let demo;
let browser;
/** Name and address of each page. */
const pages = new Map();

before(async () => {
  [demo, browser] = await Promise.all([startDemo(), startBrowser()]);
  if (FOLDER) await mkdir(FOLDER, { recursive: true });
  const { page, go, end } = await person(browser, demo.url);
  await go("/");
  await page.getByRole("button", { name: /Misspell a team/ }).click();
  await page.getByText("it has failed.").waitFor();
  pages.set("mistake", page.url());
  await page.getByRole("link", { name: "tenantry/plan" }).first().click();
  pages.set("check", page.url());
  await propose(page, go, "Add shop", (text) => text + entry("shop", { more: ["{name: shop-dev}"] }));
  await page.getByText("It can be merged.").waitFor();
  pages.set("pull", page.url());
  for (const [name, path] of [
    ["control", "/"],
    ["edit", "/edit"],
    ["organization", "/organization"],
    ["cluster", "/cluster"],
    ["webhooks", "/webhooks"],
  ]) {
    pages.set(name, demo.url + path);
  }
  await go("/cluster");
  pages.set("object", await page.getByRole("link", { name: "git-auth" }).first().evaluate((link) => link.href));
  await go("/webhooks");
  pages.set("delivery", await page.locator(".rows a").first().evaluate((link) => link.href));
  await end();
});

after(async () => {
  await browser.close();
  await demo.stop();
});

for (const colorScheme of THEMES) {
  for (const width of WIDTHS) {
    test(`every page is in order: ${colorScheme}, ${width} pixels wide`, async () => {
      const viewport = { width, height: 900 };
      const { page, end } = await person(browser, demo.url, { colorScheme, viewport });
      for (const [name, address] of pages) {
        await page.goto(address);
        if (FOLDER) await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}-${width}.png`), fullPage: true });
        await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
        assert.equal(await overhang(page), 0, `${name} scrolls sideways`);
        assert.deepEqual(await objections(page), [], name);
      }
      await end();
    });
  }
}

test("every page works in large print", async () => {
  for (const width of LARGE_PRINT) {
    const { page, end } = await person(browser, demo.url, {
      viewport: { width, height: 450 },
      deviceScaleFactor: 1280 / width,
    });
    for (const [name, address] of pages) {
      await page.goto(address);
      assert.equal(await overhang(page), 0, `${name} scrolls sideways at ${width} pixels`);
      assert(await page.getByRole("heading", { level: 1 }).isVisible(), name);
    }
    await end();
  }
});

test("a missing page says so", async () => {
  const { page, go, end } = await person(browser, demo.url, { expected: [404] });
  assert.equal((await go("/nowhere")).status(), 404);
  assert.deepEqual(await objections(page), []);
  await end();
});

test("the pictures of the README", { skip: FOLDER ? false : "TENANTRY_TEST_SCREENSHOTS names no folder" }, async () => {
  for (const colorScheme of THEMES) {
    const { page, end } = await person(browser, demo.url, {
      colorScheme,
      viewport: { width: 1120, height: 760 },
      // For the letters: what a desktop has as its own font looks more like Inter than like a server's last resort.
      bypassCSP: true,
    });
    for (const [picture, name] of [
      ["demo-pull-request", "pull"],
      ["demo-cluster", "cluster"],
    ]) {
      await page.goto(pages.get(name).replace(/\?.*/, ""));
      await page.addStyleTag({ content: "body { font-family: Inter, sans-serif }" });
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: join(FOLDER, `${picture}-${colorScheme}.png`) });
    }
    await end();
  }
});
