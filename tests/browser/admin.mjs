// The console in a real browser: enrolment, sign-in with password and passkey, what is refused, what pages show.
//
// KURA_RUN_JSON: a JSON file with "admin" (its address) and "admin_enrolment" (an unused link). KURA_PICTURES: a folder for
// pictures, optional. One line per check; the exit code is 1 if any failed.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

const run = JSON.parse(readFileSync(process.env.KURA_RUN_JSON, "utf8"));
const pictures = process.env.KURA_PICTURES;
const password = "nine quiet lanterns at dusk";
const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update",
  "--disable-sync",
];

let failures = 0;
const check = (name, holds, detail = "") => {
  if (!holds) failures += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${name}${holds || detail === "" ? "" : `: ${detail}`}`);
};

// Everything that a page complains about, over all navigations. Axe itself writes markup, so it is not listened to.
const complaints = [];
let listening = true;

const listen = async (context, page) => {
  await context.exposeBinding("complain", (_source, text) => listening && complaints.push(text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.complain(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  page.on("pageerror", (error) => listening && complaints.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${run.admin}/`)) complaints.push(`left the origin: ${request.url()}`);
  });
};

// Shows the page at both sizes and in both schemes: no sideways scrolling, no serious axe violation, pictures.
const examine = async (page, name) => {
  listening = false;
  for (const [width, height] of [[390, 844], [1280, 900]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      if (pictures) await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`) });
      const excess = await page.evaluate(() => {
        const main = document.querySelector("main");
        const inner = main.getBoundingClientRect().right - Number.parseFloat(getComputedStyle(main).paddingRight);
        const parts = Array.from(main.children, (part) => part.getBoundingClientRect().right - inner);
        return Math.ceil(Math.max(document.documentElement.scrollWidth - innerWidth, ...parts));
      });
      check(`${name}: fits ${width} px, ${colorScheme}`, excess <= 0, `${excess} px too wide`);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
      const told = serious.map((violation) => `${violation.id} at ${violation.nodes.map((node) => node.target).join(" ")}`);
      check(`${name}: no serious accessibility violation, ${width} px, ${colorScheme}`, serious.length === 0, told.join("; "));
    }
  }
  listening = true;
};

const authenticator = async (cdp, extra = {}) => {
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true, ...extra,
  };
  return (await cdp.send("WebAuthn.addVirtualAuthenticator", { options })).authenticatorId;
};

const path = (page) => new URL(page.url()).pathname;
const text = async (page, selector) => (await page.locator(selector).first().textContent())?.trim() ?? "";

const submit = async (page) => {
  await Promise.all([page.waitForNavigation(), page.click("button.primary")]);
};

const givePassword = async (page, email, secret) => {
  await page.goto(`${run.admin}/sign-in`);
  await page.fill("#email", email);
  await page.fill("#password", secret);
  await submit(page);
};

const signOut = async (page) => {
  await Promise.all([page.waitForNavigation(), page.click("form[action='/sign-out'] button")]);
};

const enrol = async (page) => {
  await page.goto(run.admin_enrolment);
  const email = await page.inputValue("#email");
  check("the enrolment page names the person", (await text(page, ".who dd")).length > 0);
  await examine(page, "enrol");
  await page.fill("#password", "password12345");
  await page.fill("#password_again", "password12345");
  await submit(page);
  check("a common password is refused", /first that anybody/.test(await text(page, ".notice.bad")));
  await page.fill("#password", password);
  await page.fill("#password_again", `${password}!`);
  await submit(page);
  check("two different passwords are refused", /differ/.test(await text(page, ".notice.bad")));
  await page.fill("#password", password);
  await page.fill("#password_again", password);
  await submit(page);
  check("the passkey step follows the password", path(page).endsWith("/passkey"));
  await examine(page, "enrol-passkey");
  await submit(page);
  check("enrolment ends in the console", path(page) === "/payments", page.url());
  return email;
};

const lookAround = async (page) => {
  await page.goto(`${run.admin}/payments`);
  const rows = await page.locator("table.payments tbody tr").count();
  check("the list shows payments or says that there are none", rows > 0 || (await page.locator(".empty h2").count()) === 1);
  await examine(page, rows > 0 ? "payments" : "payments-none");
  await page.goto(`${run.admin}/payments?status=canceled`);
  check("a filter stands in the address", (await page.locator(".tabs a[aria-current]").textContent()) === "Canceled");
  if (rows > 0) {
    await page.goto(`${run.admin}/payments`);
    const digits = await page.locator("td.plastic .digits").allTextContents();
    check("a card is shown by its last four alone", digits.every((shown) => /^••••\s\d{4}$/.test(shown)), digits.join());
    await Promise.all([page.waitForNavigation(), page.locator("a.row-link").first().click()]);
    check("a payment has a timeline", (await page.locator(".timeline > li").count()) > 0);
    await examine(page, "payment");
  }
  await page.goto(`${run.admin}/system`);
  check("the system page shows every service", (await page.locator(".service").count()) === 3);
  await examine(page, "system");
  const missing = await page.goto(`${run.admin}/payments/pi_00000000000000000000000000`);
  check("a payment that is not there is 404", missing.status() === 404);
  await examine(page, "error");
};

const cookiesAndHeaders = async (context, page) => {
  const answer = await page.goto(`${run.admin}/payments`);
  const headers = answer.headers();
  check("pages are kept by no cache", headers["cache-control"] === "no-store");
  check("the policy allows nothing inline", !headers["content-security-policy"].includes("unsafe"));
  const session = (await context.cookies()).find((cookie) => cookie.name === "__Host-kura-session");
  const bound = session?.httpOnly && session.secure && session.sameSite === "Strict" && session.expires === -1;
  check("the session cookie is bound to host, transport and site", Boolean(bound));
  const visible = await page.evaluate(() => document.cookie);
  check("scripts see no cookie", visible === "");
  const style = await page.request.get(await page.getAttribute("link[rel=stylesheet]", "href").then((href) => run.admin + href));
  check("assets are kept for ever", style.headers()["cache-control"].includes("immutable"));
  return session;
};

const forgeries = async (page) => {
  const token = await page.inputValue("form[action='/sign-out'] [name=form_token]");
  const post = (headers, form) => page.request.post(`${run.admin}/sign-out`, { headers, form, maxRedirects: 0 });
  const other = await post({ "sec-fetch-site": "cross-site", origin: "https://evil.example" }, { form_token: token });
  check("a form from another site is refused", other.status() === 403);
  const silent = await post({}, { form_token: token });
  check("a form that doesn't say where it is from is refused", silent.status() === 403);
  const guess = await post({ "sec-fetch-site": "same-origin" }, { form_token: "A".repeat(43) });
  check("a form with another token is refused", guess.status() === 403);
  await page.goto(`${run.admin}/payments`);
  check("none of them ended the session", path(page) === "/payments");
};

const refusals = async (page, email) => {
  await givePassword(page, email, "not the password at all");
  const known = await text(page, ".notice.bad");
  check("a wrong password is refused", /not accepted/.test(known) && path(page) === "/sign-in");
  await examine(page, "sign-in");
  await givePassword(page, "nobody@example.com", "not the password at all");
  check("an e-mail that nobody has gets the same answer", (await text(page, ".notice.bad")) === known);
  for (let attempt = 0; attempt < 5; attempt += 1) await givePassword(page, "nobody@example.com", `guess number ${attempt}`);
  check("guessing is slowed down, in clear words", /Try again in \d+ seconds/.test(await text(page, ".notice.bad")));
  await page.goto(`${run.admin}/payments`);
  check("no page opens without a session", path(page) === "/sign-in");
};

const signIn = async (page, email) => {
  await givePassword(page, email, password);
  check("the passkey is asked for after the password", path(page) === "/sign-in/passkey");
  const half = await page.request.get(`${run.admin}/payments`, { maxRedirects: 0 });
  check("a password alone opens no page", half.status() === 303);
};

const withoutVerification = async (cdp, page, id, email) => {
  await signIn(page, email);
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId: id, isUserVerified: false });
  await page.click("button.primary");
  await page.waitForSelector(".notice.bad");
  check("the browser gives no assertion when its user isn't verified", path(page) === "/sign-in/passkey");
  // A browser that doesn't care: the request is changed to ask for no verification, and the key is put where none is made.
  const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId: id });
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: id });
  const careless = await authenticator(cdp, { hasUserVerification: false, isUserVerified: false });
  await cdp.send("WebAuthn.addCredential", { authenticatorId: careless, credential: { ...credentials[0], signCount: 500 } });
  await page.evaluate(() => {
    const form = document.querySelector("form[data-passkey]");
    const options = JSON.parse(form.dataset.options);
    options.publicKey.userVerification = "discouraged";
    form.dataset.options = JSON.stringify(options);
  });
  await submit(page);
  check("an assertion without user verification is refused", /not accepted/.test(await text(page, ".notice.bad")), page.url());
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: careless });
  const again = await authenticator(cdp);
  await cdp.send("WebAuthn.addCredential", { authenticatorId: again, credential: credentials[0] });
  return again;
};

const replayed = async (page, email) => {
  await signIn(page, email);
  const [request] = await Promise.all([
    page.waitForRequest((sent) => sent.method() === "POST" && sent.url().endsWith("/sign-in/passkey")),
    submit(page),
  ]);
  check("password and passkey together sign in", path(page) === "/payments");
  const body = request.postData();
  const again = await page.request.post(`${run.admin}/sign-in/passkey`, {
    headers: { "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded" },
    data: body, maxRedirects: 0,
  });
  check("the same assertion a second time makes no session", again.status() !== 303 || !again.headers()["set-cookie"]);
};

const stolenCookie = async (browser, page, session) => {
  const thief = await browser.newContext({ userAgent: "another browser" });
  const answer = await thief.request.get(`${run.admin}/payments`, {
    headers: { cookie: `${session.name}=${session.value}` }, maxRedirects: 0,
  });
  check("a cookie in another browser opens nothing", answer.status() === 303);
  await page.goto(`${run.admin}/payments`);
  check("and ends the session that it was taken from", path(page) === "/sign-in");
  await thief.close();
};

const clone = async (cdp, page, id, email) => {
  const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId: id });
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: id });
  const copy = await authenticator(cdp);
  await cdp.send("WebAuthn.addCredential", { authenticatorId: copy, credential: { ...credentials[0], signCount: 1 } });
  await signIn(page, email);
  await submit(page);
  check("a passkey whose counter went back is refused", /not accepted/.test(await text(page, ".notice.bad")), page.url());
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: copy });
  const original = await authenticator(cdp);
  await cdp.send("WebAuthn.addCredential", { authenticatorId: original, credential: { ...credentials[0], signCount: 900 } });
  await givePassword(page, email, password);
  check("and is worth nothing from then on", /not accepted/.test(await text(page, ".notice.bad")), page.url());
};

const otherReaders = async (browser, context) => {
  const { cookies } = await context.storageState();
  const plain = await browser.newContext({ javaScriptEnabled: false, locale: "ja-JP", userAgent: await agent(context) });
  await plain.addCookies(cookies);
  const page = await plain.newPage();
  await page.goto(`${run.admin}/payments`);
  check("pages work without JavaScript, and in Japanese", (await text(page, "h1")) === "決済", await page.content());
  if (pictures) await page.screenshot({ path: join(pictures, "payments-ja.png") });
  await plain.close();
};

const agent = (context) => context.pages()[0].evaluate(() => navigator.userAgent);

const scenario = async (context, page) => {
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const id = await authenticator(cdp);
  const email = await enrol(page);
  await lookAround(page);
  await otherReaders(context.browser() ?? context, context).catch((error) => check("other readers", false, error.message));
  await cookiesAndHeaders(context, page);
  await forgeries(page);
  await signOut(page);
  check("signing out says so", /signed out/.test(await text(page, ".notice")));
  await page.goto(run.admin_enrolment);
  check("an enrolment link works once", (await text(page, "h1")) === "This link can’t be used");
  await refusals(page, email);
  const again = await withoutVerification(cdp, page, id, email);
  await signIn(page, email);
  await examine(page, "sign-in-passkey");
  await page.reload();
  await submit(page);
  check("the passkey completes the sign-in", path(page) === "/payments", page.url());
  await signOut(page);
  await replayed(page, email);
  const session = await cookiesAndHeaders(context, page);
  await stolenCookie(context.browser(), page, session);
  await clone(cdp, page, again, email);
};

if (pictures) mkdirSync(pictures, { recursive: true });
const profile = mkdtempSync(join(tmpdir(), "kura-admin-"));
const executablePath = process.env.KURA_CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: flags, headless: true, artifactsDir: profile });
try {
  const context = await browser.newContext({ locale: "en-US" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await listen(context, page);
  await scenario(context, page);
  check("no page violated its policy, failed in a script or left its origin", complaints.length === 0, complaints.join("; "));
} catch (error) {
  check("the scenario ran to its end", false, error.stack);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(failures === 0 ? "all checks hold" : `${failures} checks failed`);
process.exit(failures === 0 ? 0 : 1);
