// Follows what happens: when the server says that this page has changed, it is fetched again, and what differs is put in
// its place. Focus, scroll and what was opened or typed stay. Without this script everything works by reloading.

const live = document.getElementById("live");
const follows = document.getElementById("follows");
const news = document.getElementById("news");
let asOf = document.querySelector(".bottom time");

if (live?.dataset.source) follow();
grow(document.getElementById("text"), document.getElementById("gutter"));

function follow() {
  const versions = new EventSource(`/live?of=${encodeURIComponent(live.dataset.source)}`);
  let wanted = live.dataset.version;
  let fetching = false;

  versions.onopen = () => say("on", "This page follows by itself.");
  versions.onerror = () => say("off", "The demo does not answer. Is it still running?");
  versions.onmessage = async ({ data }) => {
    wanted = data;
    if (fetching) return;
    fetching = true;
    try {
      while (live.dataset.version !== wanted) {
        const asked = wanted;
        await renew();
        // What changed meanwhile has a version of its own; the server will say it.
        if (wanted === asked) break;
      }
    } catch {
      say("off", "The demo does not answer. Is it still running?");
    } finally {
      fetching = false;
    }
  };
  addEventListener("pagehide", () => versions.close());
}

function say(state, text) {
  follows.className = state;
  follows.textContent = text;
}

async function renew() {
  const answer = await fetch(live.dataset.source, { headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  if (!fresh || fresh.dataset.version === live.dataset.version) return;
  adapt(live, fresh);
  document.title = page.title;
  asOf.replaceWith((asOf = page.querySelector(".bottom time")));
  news.textContent = `This page has changed: ${page.querySelector("h1")?.textContent ?? page.title}.`;
}

// Makes a node like another one, keeping every part of it that is there already.
function adapt(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  adaptAttributes(old, fresh);
  if (old instanceof HTMLTextAreaElement) return;
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = find(old, place, wanted);
    if (!known) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (known !== place) old.insertBefore(known, place);
    adapt(known, wanted);
    place = known.nextSibling;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// The child that is to become the wanted one: by its id, or the next one of the same kind without an id.
function find(parent, place, wanted) {
  if (wanted.id) return [...parent.children].find((child) => child.id === wanted.id);
  const same = place && place.nodeType === wanted.nodeType && place.nodeName === wanted.nodeName && !place.id;
  return same ? place : null;
}

function adaptAttributes(old, fresh) {
  const opened = old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(opened && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    const chosen = name === "selected" || name === "checked";
    if (!chosen && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

// The editor is as high as its text, with a number beside each line.
function grow(text, gutter) {
  if (!text || !gutter) return;
  const fit = () => {
    const lines = text.value.split("\n").length + 2;
    text.rows = Math.max(lines, text.rows);
    gutter.textContent = Array.from({ length: text.rows }, (_, line) => line + 1).join("\n");
  };
  text.addEventListener("input", fit);
  fit();
}
