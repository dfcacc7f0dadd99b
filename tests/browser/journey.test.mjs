// What the demo is for, as a person does it: a change with a mistake, mended, planned, merged, and seen on both sides;
// and everything that one may try.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { entry, person, PATIENCE, propose, startBrowser, startDemo } from "./demo.mjs";

let demo;
let browser;

before(async () => {
  [demo, browser] = await Promise.all([startDemo(), startBrowser()]);
});

after(async () => {
  await browser.close();
  await demo.stop();
});

/** Somebody at work, until the end of the work. */
async function at(work, options) {
  const { page, go, end } = await person(browser, demo.url, options);
  await work(page, go);
  await end();
}

const merge = (page) => page.getByRole("button", { name: "Merge pull request" });

/** Merges once it is allowed, and waits for what the App says in the end. */
async function merged(page) {
  await page.getByText("It can be merged.").waitFor();
  await merge(page).click();
  await page.getByRole("status").getByText("Merged", { exact: true }).waitFor();
  await page.locator(".merge li", { hasText: "tenantry/apply" }).getByText("passed").waitFor();
}

test("a mistake is shown at its line, mended by another commit, planned, merged, and seen on both sides", () =>
  at(async (page, go) => {
    await propose(page, go, "Add search", (text) => text + entry("search", { team: "ai-taem" }));
    await page.getByText("tenantry/plan must have passed: it has failed.").waitFor();
    assert(await merge(page).isDisabled(), "what is wrong cannot be merged");
    const line = page.locator(".diff tr.added", { hasText: "ai-taem" });
    const remark = page.locator(".diff tr.added:has-text('ai-taem') + tr.remark");
    assert.match(await remark.innerText(), /Error in line \d+: .*did you mean .ai-team.\?/s);
    assert.equal(await line.locator("mark").innerText(), "ai-taem");

    await page.getByRole("link", { name: "New commit" }).click();
    await page.locator("#text").fill((await page.locator("#text").inputValue()).replace("ai-taem", "ai-team"));
    await page.getByLabel("Commit message").fill("Mean the right team");
    await page.getByRole("button", { name: "Commit" }).click();
    await page.getByText("2 commits").waitFor();

    const comment = page.locator("article", { hasText: "tenantry" });
    await comment.getByRole("heading", { name: "Plan: 1 tenant added" }).waitFor();
    await comment.getByText(/add search/).click();
    await comment.getByRole("cell", { name: /Namespace search/ }).waitFor();
    await merged(page);
    await comment.getByRole("heading", { name: /1 tenant added|1 tenant live/ }).waitFor();

    await page.getByRole("link", { name: "Organization", exact: true }).click();
    const repository = page.locator("#repository-search-workspace");
    assert.match(await repository.innerText(), /ai-team\s+push\s+deploy key ssh-ed25519\s+read-only/);

    await page.getByRole("link", { name: "Cluster", exact: true }).click();
    const rooms = page.locator("section.tenant", { has: page.getByRole("heading", { name: "search", exact: true, level: 2 }) });
    assert.deepEqual(await rooms.locator("h3").allInnerTexts(), ["tenant-search", "search"]);
    await rooms.getByRole("link", { name: "git-auth" }).click();
    assert.match(await page.locator("pre").innerText(), /identity: \(\d+ bytes, hidden\)/);
    assert.doesNotMatch(await page.content(), /PRIVATE KEY|LS0tLS1CRUdJTi/);
  }));

test("the merge button cannot be talked into what GitHub refuses", () =>
  at(
    async (page, go) => {
      await go("/");
      await page.getByRole("button", { name: /Misspell a team/ }).click();
      await page.getByText("tenantry/plan must have passed: it has failed.").waitFor();
      await merge(page).evaluate((button) => button.removeAttribute("disabled"));
      await merge(page).click();
      const refusal = page.getByRole("alert");
      assert.match(await refusal.innerText(), /405[\s\S]*Required status check "tenantry\/plan" is failing/);
      await page.getByRole("button", { name: "Close without a merge" }).click();
      await page.getByText("Closed without a merge.").waitFor();
    },
    { expected: [405] },
  ));

test("a removal is proposed, and its plan says what is kept", () =>
  at(async (page, go) => {
    await go("/");
    await page.getByLabel("Tenant to remove").selectOption("search");
    await page.getByRole("button", { name: /Remove a tenant/ }).click();
    await page.getByRole("heading", { name: /Plan: .*remov/ }).waitFor();
    assert.match(await page.locator(".diff tr.removed").first().innerText(), /name: search/);
    await page.getByRole("button", { name: "Close without a merge" }).click();
  }));

test("thirty tenants are proposed, merged, and all there", () =>
  at(async (page, go) => {
    await go("/");
    await page.getByRole("button", { name: /Add thirty tenants/ }).click();
    await page.getByRole("heading", { name: "Plan: 30 tenants added" }).waitFor();
    await merged(page);
    await go("/organization");
    assert.equal(await page.locator("[id^=repository-team-]").count(), 30);
    await go("/cluster");
    assert.equal(await page.locator("[id^=room-tenant-team-]").count(), 30);
  }));

test("a deploy key that somebody takes away comes back", () =>
  at(async (page, go) => {
    await go("/");
    await page.getByLabel("Repository whose key goes").selectOption("search-workspace");
    await page.getByRole("button", { name: /Take a deploy key away/ }).click();
    const repository = page.locator("#repository-search-workspace");
    await repository.getByText("deploy key").waitFor({ state: "detached" });
    await repository.getByText("deploy key").waitFor();
  }));

test("a lost webhook is sent again, and the plan comes as if nothing had been", () =>
  at(async (page, go) => {
    await go("/");
    await page.getByRole("button", { name: /Lose the next webhook/ }).click();
    const pull = page.url();
    await page.getByText("tenantry/plan must have passed: it is expected.").waitFor();
    await page.getByRole("link", { name: "send the delivery again" }).click();
    const lost = page.locator("li", { hasText: "pull_request opened" }).filter({ hasText: "timed out" }).first();
    await lost.getByRole("button", { name: "Redeliver" }).click();
    await page.locator("li", { hasText: "sent again" }).getByText("202 OK").waitFor();
    await page.goto(pull);
    await page.getByRole("heading", { name: "Plan: 1 tenant added" }).waitFor();
    await page.getByText("It can be merged.").waitFor();
  }));

test("an outage is told, what was known stays, and the plan comes all the same", () =>
  at(
    async (page, go) => {
      await go("/");
      await page.getByRole("button", { name: /Break GitHub for ten seconds/ }).click();
      await page.getByText("It answers 502.").waitFor();
      assert.match(await page.locator("h1").innerText(), /Add weather/);
      await page.getByText("It answers 502.").waitFor({ state: "detached" });
      await page.getByRole("heading", { name: "Plan: 1 tenant added" }).waitFor({ timeout: 2 * PATIENCE });
      await page.getByText("It can be merged.").waitFor();
    },
    { expected: [502] },
  ));

test("what was typed, opened and focused stays while the page follows", () =>
  at(async (page, go) => {
    await propose(page, go, "Add stay", (text) => text + entry("stay"));
    await page.getByText("It can be merged.").waitFor();
    const details = page.locator(".timeline details").first();
    await details.locator("summary").click();
    await page.getByLabel("Comment").fill("half a thought");
    await page.evaluate(() => scrollTo(0, 200));
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.getByLabel("Comment").fill("/tenantry help");
    await other.getByRole("button", { name: "Comment" }).click();
    await page.getByText("/tenantry help", { exact: true }).first().waitFor();
    await page.locator(".timeline > li").nth(3).waitFor();
    assert.equal(await page.getByLabel("Comment").inputValue(), "half a thought");
    assert(await page.getByLabel("Comment").evaluate((field) => field === document.activeElement));
    assert(await details.evaluate((node) => node.open), "what was opened is open");
    assert.equal(await page.evaluate(() => scrollY), 200);
  }));

test("everything is reached with the keyboard alone", () =>
  at(async (page, go) => {
    await go("/");
    const focused = () => page.evaluate(() => document.activeElement.innerText || document.activeElement.getAttribute("aria-label"));
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Edit the file");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/edit/);
    await page.getByLabel("Title").focus();
    await page.keyboard.type("Add typed");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Control+End");
    await page.keyboard.type(entry("typed").trimEnd());
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Propose change");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "one sees where one is");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/pulls\/\d+/);
    await page.getByRole("heading", { name: "Plan: 1 tenant added" }).waitFor();
  }));
