// What the demo is for, as a person does it: a change with a mistake, mended, planned, merged, and seen on both sides;
// and everything that one may try.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { entry, person, PATIENCE, propose, startBrowser, startDemo } from "./demo.mjs";

let demo;
let browser;

before(async () => {
  demo = await startDemo();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await demo?.stop();
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

test("the control repo shows its file by line, its pull requests and its commits", () =>
  at(async (page, go) => {
    await go("/");
    const lines = await page.locator(".numbered .line").allInnerTexts();
    assert.equal(lines.filter((line) => /^- name: (payments|storefront|ai-team)\s*$/.test(line)).length, 3, lines.join(""));
    const third = page.locator(".numbered .line").nth(2);
    assert.match(await third.evaluate((line) => getComputedStyle(line, "::before").content), /^counter\(line\)$/);
    assert.equal(await third.getAttribute("id"), "L3");
    const pulls = page.locator("section", { has: page.getByRole("heading", { name: "Pull requests" }) });
    assert.match(await pulls.innerText(), /Merged and closed\s+Add ai-team\s+#1\s+Merged[\s\S]*tenantry\/plan\s+passed/);
    const commits = page.locator("section", { has: page.getByRole("heading", { name: "Commits" }) });
    assert.match(await commits.locator("li").first().innerText(), /Merge pull request #1[\s\S]*[0-9a-f]{7}[\s\S]*tenantry\/apply\s+passed/);
    await page.getByRole("button", { name: /Misspell a team/ }).click();
    const pull = page.url();
    await go("/");
    assert.match(await pulls.innerText(), /^Pull requests\s+Open\s+Give access to /);
    await page.goto(pull);
    await page.getByRole("button", { name: "Close without a merge" }).click();
    await page.getByRole("button", { name: "Reopen" }).click();
    await page.getByRole("button", { name: "Close without a merge" }).click();
    await page.getByText("Closed without a merge.").waitFor();
    const told = await page.locator(".timeline .event").allInnerTexts();
    const deeds = told.map((one) => one.match(/ (closed this|opened this again) /)?.[1]).filter(Boolean);
    assert.deepEqual(deeds, ["closed this", "opened this again", "closed this"]);
  }));

test("a comment speaks GitHub's dialect, and can do no harm", () =>
  at(async (page, go) => {
    const text = [
      "| left | right |\n|:--|--:|\n| one | two |",
      "> [!WARNING]\n> Mind the step",
      "<details><summary>More of it</summary>\n\nWhat was hidden\n\n</details>",
      "```diff\n+ new\n- old\n```",
      "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">",
      '<form action="/try/outage"><button>A trap</button></form><iframe src="/"></iframe><b onclick="x()" style="color: red">bold</b>',
      "[bad](javascript:document.title='taken')",
    ].join("\n\n");
    await go("/pulls/1");
    await page.getByLabel("Comment").fill(text);
    await page.getByRole("button", { name: "Comment" }).click();
    const comment = page.locator(".timeline article", { hasText: "Mind the step" });
    await comment.waitFor();
    assert.equal(await comment.getByRole("cell", { name: "two" }).evaluate((cell) => getComputedStyle(cell).textAlign), "right");
    assert.equal(await comment.locator(".markdown-alert-warning .markdown-alert-title").innerText(), "Warning");
    assert(await comment.getByText("What was hidden").isHidden());
    await comment.getByText("More of it").click();
    assert(await comment.getByText("What was hidden").isVisible());
    const colour = (name) => comment.locator(`pre .${name}`).evaluate((part) => getComputedStyle(part).color);
    assert.notEqual(await colour("added"), await colour("removed"));
    const harm = "script, img, iframe, form, button, [onclick], [onerror], [style], [href^=javascript]";
    assert.equal(await comment.locator(harm).count(), 0, await comment.innerHTML());
    assert.notEqual(await page.title(), "taken");
  }));

test("the organization shows who may do what, and a delivery what was sent and answered", () =>
  at(async (page, go) => {
    await go("/organization");
    const repository = await page.locator("#repository-payments-workspace").innerText();
    assert.match(repository, /private[\s\S]*payments\s+maintain[\s\S]*deploy key ssh-ed25519\s+read-only/);
    const team = page.locator("#team-billing-team");
    await team.getByText("1 repository").click();
    assert.match(await team.innerText(), /ai-team-workspace\s+push/);
    await go("/webhooks");
    await page.getByRole("link", { name: "pull_request opened" }).first().click();
    const request = await page.getByRole("group", { name: "Headers of the request" }).innerText();
    assert.match(request, /x-github-event: pull_request\n[\s\S]*x-hub-signature-256: sha256=[0-9a-f]{64}/);
    const payload = JSON.parse(await page.getByRole("group", { name: "Payload of the request" }).innerText());
    assert.equal(payload.action, "opened");
    await page.getByRole("button", { name: "Redeliver" }).click();
    const again = page.locator("li", { hasText: "sent again" }).first();
    await again.getByText("202 OK").waitFor();
    assert.match(await again.innerText(), /pull_request opened/);
  }));

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
      // In one go: the page follows, and would disable it again.
      await merge(page).evaluate((button) => {
        button.removeAttribute("disabled");
        button.click();
      });
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
    await repository.getByText("deploy key").waitFor();
    // It may be back before the page could show that it was gone: GitHub's word of both stays.
    await go("/webhooks");
    const told = page.locator("li", { hasText: "deploy_key" });
    await told.nth(0).getByText("deploy_key created").first().waitFor();
    await told.nth(1).getByText("deploy_key deleted").first().waitFor();
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
