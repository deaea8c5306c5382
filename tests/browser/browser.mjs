// What every scenario needs: Debian's Chromium with a fresh profile, a record of all that leaves it, and checks that print.

import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const pictures = process.env.KURA_PICTURES ?? path.join(here, "pictures");

/** Widths and themes that a page is looked at in. */
export const VIEWS = [
  { name: "phone-light", viewport: { width: 390, height: 844 }, colorScheme: "light" },
  { name: "phone-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
  { name: "desktop-light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "desktop-dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
];

/** The addresses of a running Kura, from the file that `cargo kura up` writes. */
export async function runningKura() {
  const file = process.env.KURA_RUN_JSON ?? path.join(here, "../../.kura/run.json");
  const run = JSON.parse(await readFile(file, "utf8"));
  const address = (name) => {
    const found = run[name] ?? run.urls?.[name];
    if (typeof found !== "string") throw new Error(`${file} has no address of ${name}`);
    return found.replace(/\/$/, "");
  };
  return { gateway: address("gateway"), fronts: address("fronts") };
}

/** A browser that talks to nobody but the pages it is sent to. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.KURA_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      "--no-default-browser-check",
    ],
  });
}

/**
 * A context that records every request of every page and frame in it, and everything that went wrong: console errors,
 * exceptions, policy violations.
 */
export async function watchedContext(browser, options = {}) {
  const context = await browser.newContext({ locale: "ja-JP", ...options });
  const requests = [];
  const troubles = [];
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} in ${event.documentURI}`);
    });
  });
  context.on("request", (request) => {
    requests.push({
      method: request.method(),
      url: request.url(),
      headers: JSON.stringify(request.headers()),
      body: request.postDataBuffer()?.toString("utf8") ?? "",
    });
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") troubles.push(`${message.type()}: ${message.text()}`);
  });
  context.on("weberror", (error) => troubles.push(`exception: ${error.error()}`));
  return { context, requests, troubles };
}

/** Serious and critical findings of axe, frames included. The page's context must have `bypassCSP`. */
export async function seriousFindings(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.flat().join(" ")).join(", ")}`);
}

/** A picture of the whole page, for people to look at. */
export async function picture(page, name) {
  await mkdir(pictures, { recursive: true });
  // A frame that was never in sight has never been drawn.
  for (const frame of await page.locator("iframe").all()) {
    await frame.scrollIntoViewIfNeeded();
    await frame.contentFrame().locator("html").evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  }
  await page.waitForTimeout(150);
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

let failed = 0;
let passed = 0;

/** One line for each check. */
export function check(what, holds, detail = "") {
  if (holds) passed += 1;
  else failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds || detail === "" ? "" : `\n       ${detail}`}`);
}

/** Runs a part; an exception in it is one failed check, and the parts behind it still run. */
export async function part(name, run) {
  try {
    await run();
  } catch (error) {
    check(name, false, String(error?.stack ?? error));
  }
}

/** The last line, and the exit code. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
