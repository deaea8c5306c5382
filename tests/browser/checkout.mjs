// A shopper pays on the sample shop, in a real browser: success, decline, wait, Japanese digits, double clicks. All that
// leaves the browser is recorded, and no readable digit of a card may be in it.
//
// KURA_RUN_JSON   the run file of a running Kura       KURA_PICTURES   where screenshots go
// KURA_PAN, KURA_CVC   a card of your own to plant; must pass the check digit

import { check, finish, launch, part, picture, runningKura, seriousFindings, VIEWS, watchedContext } from "./browser.mjs";

const PAN = process.env.KURA_PAN ?? "4242424242424242";
const CVC = process.env.KURA_CVC ?? "737";
const EXPIRY = "1234";
const kura = await runningKura();
const browser = await launch();

const TEXT = {
  ja: { number: "カード番号", expiry: "有効期限", cvc: "セキュリティコード", holder: "カード名義", name: "お名前", email: "メールアドレス", another: "別のカードを使う" },
  en: { number: "Card number", expiry: "Expiry", cvc: "Security code", holder: "Name on card", name: "Full name", email: "E-mail", another: "Use another card" },
};

const cardFrame = (page) => page.frameLocator("#card iframe");

async function openForm(page, language = "ja") {
  await page.goto(`${kura.fronts}/?lang=${language}`);
  await cardFrame(page).getByLabel(TEXT[language].number).waitFor();
}

async function fillPerson(page, language = "ja") {
  await page.getByLabel(TEXT[language].name, { exact: true }).fill("走田 はしる");
  await page.getByLabel(TEXT[language].email).fill("runner@example.com");
}

/** Types as a person does, key by key. */
async function typeCard(page, { number = PAN, expiry = EXPIRY, cvc = CVC } = {}, language = "ja") {
  const frame = cardFrame(page);
  await frame.getByLabel(TEXT[language].number).pressSequentially(number);
  await page.keyboard.press("Tab");
  await page.keyboard.type(expiry);
  await page.keyboard.press("Tab");
  await page.keyboard.type(cvc);
}

/** The frame is transparent; axe would take it for white. So it gets the colour that is behind it. */
async function paintFrame(page) {
  const host = page.locator("#card");
  if ((await host.count()) === 0) return;
  const colour = await host.evaluate((element) => getComputedStyle(element.closest(".panel")).backgroundColor);
  await cardFrame(page).locator("html").evaluate((html, background) => html.style.setProperty("background", background), colour);
}

async function payWith(page, card, language = "ja") {
  await openForm(page, language);
  await fillPerson(page, language);
  await typeCard(page, card, language);
  await page.locator("#pay").click();
  await page.waitForURL(/\/entries\//);
  return page.locator("[data-outcome]").getAttribute("data-outcome");
}

/** The card's digits in any run of eight, in either width, with or without gaps. */
function holdsDigitsOf(pan, text) {
  const plain = decodeURIComponentSafely(text).normalize("NFKC").replace(/(?<=\d)[ +\-.](?=\d)/g, "");
  const runs = Array.from({ length: pan.length - 7 }, (_, at) => pan.slice(at, at + 8));
  // Eight equal digits, as some test numbers have them, say nothing.
  return runs.filter((run) => new Set(run).size > 1).some((run) => plain.includes(run));
}

function decodeURIComponentSafely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Nothing that left the browser could be read as the card. */
function checkWire(what, requests, pan, cvc) {
  const isTokens = ({ method, url }) => method === "POST" && url === `${kura.gateway}/v1/tokens`;
  const leaks = requests.filter(({ url, headers, body }) => [url, headers, body].some((text) => holdsDigitsOf(pan, text)));
  check(`${what}: no request anywhere holds digits of the card`, leaks.length === 0, leaks.map(({ url }) => url).join(" "));
  const values = requests.filter((request) => !isTokens(request)).flatMap(({ body }) => [...new URLSearchParams(body).values()]);
  check(`${what}: no form field that was sent is the security code`, !values.includes(cvc));
  const tokens = requests.filter(isTokens);
  const onlyBoxes = tokens.every(({ body }) => {
    const sent = JSON.parse(body);
    const fields = Object.keys(sent.card?.sealed_box ?? {}).sort().join();
    return Object.keys(sent).join() === "card" && Object.keys(sent.card).join() === "sealed_box" && fields === "ciphertext,enc,key_id,origin,sealed_at_ms";
  });
  check(`${what}: what went to /v1/tokens is a sealed box and nothing else`, tokens.length > 0 && onlyBoxes);
  const hosts = new Set(requests.map(({ url }) => new URL(url)).filter(({ protocol }) => /^https?:$/.test(protocol)).map(({ origin }) => origin));
  const strangers = [...hosts].filter((origin) => origin !== kura.gateway && origin !== kura.fronts);
  check(`${what}: the browser talked to shop and gateway only`, strangers.length === 0, strangers.join(" "));
}

async function watched(name, run, options) {
  await part(name, async () => {
    const { context, requests, troubles } = await watchedContext(browser, options);
    const page = await context.newPage();
    try {
      await run(page, requests, context);
      check(`${name}: no policy violation, console error or exception`, troubles.length === 0, troubles.join("\n       "));
    } catch (error) {
      await picture(page, `failed-${name.replaceAll(" ", "-")}`).catch(() => {});
      const fields = await Promise.all(page.frames().map((frame) => frame.locator("body").innerText({ timeout: 1000 }).catch(() => "")));
      throw new Error(`${error.message}\n       at ${page.url()}\n       ${[...fields, ...troubles].join("\n").replaceAll("\n", "\n       ")}`, { cause: error });
    } finally {
      await context.close();
    }
  });
}

await watched("success", async (page, requests) => {
  check("success: ends on the receipt", (await payWith(page, {})) === "paid");
  check("success: the receipt names the payment", /pi_\w+/.test(await page.locator("main").innerText()));
  await page.reload();
  check("success: reloading the receipt sends nothing again", requests.filter(({ method, url }) => method === "POST" && url.endsWith("/entries")).length === 1);
  checkWire("success", requests, PAN, CVC);
});

await watched("decline", async (page, requests) => {
  const number = "4000000000009995";
  check("decline: comes back to the form", (await payWith(page, { number })) === "declined");
  check("decline: says why", /残高または利用枠/.test(await page.locator("#outcome").innerText()));
  check("decline: keeps the name", (await page.getByLabel(TEXT.ja.name, { exact: true }).inputValue()) === "走田 はしる");
  await typeCard(page);
  await page.locator("#pay").click();
  await page.waitForSelector("[data-outcome=paid]");
  check("decline: another card goes through from there", true);
  checkWire("decline", requests, number, CVC);
});

await watched("Japanese digits", async (page, requests) => {
  await openForm(page);
  await fillPerson(page);
  const frame = cardFrame(page);
  const wide = (digits) => digits.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0));
  for (const [label, text] of [[TEXT.ja.number, wide(PAN)], [TEXT.ja.expiry, wide("12／34")], [TEXT.ja.cvc, wide(CVC)]]) {
    await frame.getByLabel(label).focus();
    await page.keyboard.insertText(text);
  }
  check("Japanese digits: become the card's groups", (await frame.getByLabel(TEXT.ja.number).inputValue()).replace(/ /g, "") === PAN);
  check("Japanese digits: become MM / YY", (await frame.getByLabel(TEXT.ja.expiry).inputValue()) === "12 / 34");
  await page.locator("#pay").click();
  await page.waitForSelector("[data-outcome=paid]");
  check("Japanese digits: pay", true);
  checkWire("Japanese digits", requests, PAN, CVC);
});

await watched("typing", async (page) => {
  await openForm(page, "en");
  const frame = cardFrame(page);
  const number = frame.getByLabel(TEXT.en.number);
  await number.pressSequentially("378282246310005");
  check("typing: American Express is grouped 4-6-5", (await number.inputValue()) === "3782 822463 10005");
  check("typing: its brand shows", (await frame.locator("#brand").innerText()).toLowerCase() === "amex");
  await number.fill("4242 4242\t4242-4242");
  check("typing: a pasted number is tidied", (await number.inputValue()) === "4242 4242 4242 4242");
  await number.press("ArrowLeft");
  await number.press("ArrowLeft");
  await number.press("Backspace");
  await page.keyboard.type("1");
  check("typing: the caret stays where one edits", (await number.inputValue()) === "4242 4242 4242 4142");
  check("typing: a wrong check digit is told", (await number.getAttribute("aria-invalid")) === "true");
  const described = await number.getAttribute("aria-describedby");
  check("typing: the error is tied to its field", /digits/.test(await frame.locator(`#${described}`).innerText()));
  const expiry = frame.getByLabel(TEXT.en.expiry);
  await expiry.pressSequentially("5");
  check("typing: a lone 5 is May", (await expiry.inputValue()) === "05 / ");
  await expiry.press("Backspace");
  check("typing: the slash can be deleted", (await expiry.inputValue()) === "0");
  await frame.getByLabel(TEXT.en.cvc).fill("12");
  await fillPerson(page, "en");
  await page.locator("#pay").click();
  check("typing: an unfinished card is not sent", page.url().includes("/?lang=en"));
  check("typing: the first wrong field has the focus", await number.evaluate((input) => input === document.activeElement));
});

await watched("emptied", async (page, requests) => {
  await openForm(page);
  await fillPerson(page);
  await typeCard(page);
  // The shop's form waits, so that there is time to look at what the token has left behind.
  await page.evaluate(() => {
    const { submit } = HTMLFormElement.prototype;
    HTMLFormElement.prototype.submit = function held() {
      window.release = () => submit.call(this);
    };
  });
  await page.locator("#pay").dblclick();
  const frame = cardFrame(page);
  await frame.getByRole("button", { name: TEXT.ja.another }).waitFor();
  const left = await frame.locator("html").evaluate((html) => {
    return html.outerHTML + [...html.querySelectorAll("input")].map(({ value }) => value).join(" ");
  });
  check("emptied: after the token no digit of the card is in the frame", !holdsDigitsOf(PAN, left) && !left.includes(CVC));
  check("emptied: what is left is the last four", left.includes(`•••• ${PAN.slice(-4)}`));
  await page.locator("#pay").click({ force: true });
  await picture(page, "sealed");
  await page.evaluate(() => window.release());
  await page.waitForSelector("[data-outcome=paid]");
  const posted = (path) => requests.filter(({ method, url }) => method === "POST" && new URL(url).pathname === path);
  check("emptied: three clicks are one token and one form", posted("/v1/tokens").length === 1 && posted("/entries").length === 1);
  const again = await page.context().request.post(`${kura.fronts}/entries`, {
    headers: { "content-type": "application/x-www-form-urlencoded" },
    data: posted("/entries")[0].body,
    maxRedirects: 0,
  });
  check("emptied: the same form sent once more is the same entry", new URL(again.headers().location, kura.fronts).pathname === new URL(page.url()).pathname);
});

await watched("wait", async (page) => {
  const outcome = await payWith(page, { number: "4000000000006009" });
  check("wait: a silent network is being confirmed, not failed", outcome === "processing", `outcome: ${outcome}`);
  await picture(page, "outcome-processing");
  await page.getByRole("link", { name: "いまの状況を確認する" }).click();
  check("wait: asking again shows how it stands", (await page.locator("[data-outcome]").count()) === 1);
});

await watched("enter key", async (page) => {
  await openForm(page, "en");
  await fillPerson(page, "en");
  await typeCard(page, {}, "en");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-outcome=paid]");
  check("enter key: pays from within the card's fields", true);
});

await watched("older browser", async (page, requests, context) => {
  // WebCrypto as it was before it knew X25519.
  await context.addInitScript(() => {
    const { generateKey } = SubtleCrypto.prototype;
    SubtleCrypto.prototype.generateKey = function older(algorithm, ...rest) {
      if (algorithm.name === "X25519") return Promise.reject(new DOMException("unknown algorithm", "NotSupportedError"));
      return generateKey.call(this, algorithm, ...rest);
    };
  });
  check("older browser: pays", (await payWith(page, {})) === "paid");
  const { body } = requests.find(({ url }) => url === `${kura.gateway}/v1/tokens`);
  // An encapsulated key is a P-256 point of 65 bytes, not 32 bytes of X25519.
  check("older browser: the card was sealed to the P-256 key", Buffer.from(JSON.parse(body).card.sealed_box.enc, "base64url").length === 65);
  checkWire("older browser", requests, PAN, CVC);
});

/** A part in which answers of the gateway are tampered with; the browser may grumble about them in its console. */
async function tampered(name, run) {
  await part(name, async () => {
    const { context, requests } = await watchedContext(browser);
    const page = await context.newPage();
    const tokensAsked = () => requests.filter(({ method, url }) => method === "POST" && url === `${kura.gateway}/v1/tokens`).length;
    const pay = async () => {
      await openForm(page);
      await fillPerson(page);
      await typeCard(page);
      await page.locator("#pay").click();
    };
    try {
      await run({ page, pay, tokensAsked, problem: page.locator("#card-problem:not(:empty)") });
    } finally {
      await context.close();
    }
  });
}

await tampered("false keys", async ({ page, pay, tokensAsked, problem }) => {
  // Keys that somebody put in the place of the vault's, under the vault's old signature.
  await page.route(`${kura.gateway}/checkout/sealing_keys`, async (route) => {
    const response = await route.fetch();
    const signed = await response.json();
    signed.payload = signed.payload.replace(/"public_key":"./g, (start) => start.slice(0, -1) + (start.endsWith("A") ? "B" : "A"));
    await route.fulfill({ response, json: signed });
  });
  await pay();
  await problem.waitFor();
  check("false keys: the card is not sealed to them", /暗号化できない/.test(await problem.innerText()) && tokensAsked() === 0);
});

await tampered("expired key", async ({ page, pay, tokensAsked }) => {
  let first = true;
  await page.route(`${kura.gateway}/v1/tokens`, async (route) => {
    if (!first) return route.continue();
    first = false;
    const error = { type: "invalid_request_error", code: "sealing_key_expired", message: "expired" };
    return route.fulfill({ status: 400, json: { error } });
  });
  await pay();
  await page.waitForSelector("[data-outcome=paid]");
  check("expired key: sealed anew to a new key, and paid", tokensAsked() === 2);
});

await tampered("no connection", async ({ page, pay, problem }) => {
  await page.route(`${kura.gateway}/v1/tokens`, (route) => route.abort());
  await pay();
  await problem.waitFor();
  check("no connection: says so", /接続できません/.test(await problem.innerText()));
  await page.unroute(`${kura.gateway}/v1/tokens`);
  await page.locator("#pay").click();
  await page.waitForSelector("[data-outcome=paid]");
  check("no connection: pays when it is back, with the card still there", true);
});

await part("strangers", async () => {
  // A page of another origin can't have the frame: the browser refuses to show it (frame-ancestors).
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${kura.fronts}/?lang=en`);
  const source = await page.locator("#card iframe").getAttribute("src");
  await page.route("http://stranger.example/", (route) => route.fulfill({ contentType: "text/html", body: `<iframe src="${source}"></iframe>` }));
  await page.goto("http://stranger.example/");
  const shown = await page.frameLocator("iframe").locator("#number").count();
  check("strangers: another site can't frame the fields", shown === 0);
  await page.goto(source);
  check("strangers: the fields alone, in no page, take no card", (await page.locator("input").count()) === 0);
  await context.close();
});

await watched("page", async (page) => {
  await page.addInitScript(() => {
    window[Symbol.for("globals")] = Object.keys(window);
  });
  await openForm(page, "en");
  // Frames are numbered properties of the window.
  const added = await page.evaluate(() => Object.keys(window).filter((name) => !/^\d+$/.test(name) && !window[Symbol.for("globals")].includes(name)));
  check("page: kura.js leaves nothing but window.Kura", added.join() === "Kura", added.join());
  const refusal = await page.evaluate(() => {
    try {
      return String(window.Kura("sk_test_0123456789"));
    } catch (error) {
      return error.message;
    }
  });
  check("page: a secret key is refused without an echo", /publishable key/.test(refusal) && !refusal.includes("0123456789"), refusal);
  // Greetings and answers from others than the gateway's own frame: no port is handed out for them, none is replaced.
  const handed = await page.evaluate(async () => {
    const ports = [];
    window.addEventListener("message", ({ ports: [port] }) => port && ports.push(port));
    const other = document.body.appendChild(document.createElement("iframe"));
    other.contentWindow.addEventListener("message", ({ ports: [port] }) => port && ports.push(port));
    window.postMessage({ kura: "hello", version: 1 }, "*");
    other.contentWindow.parent.postMessage({ kura: "hello", version: 1 }, "*");
    await new Promise((resolve) => setTimeout(resolve, 200));
    other.remove();
    return ports.length;
  });
  check("page: a forged greeting gets no channel", handed === 0);
  await fillPerson(page, "en");
  await typeCard(page, {}, "en");
  await page.locator("#pay").click();
  await page.waitForSelector("[data-outcome=paid]");
  check("page: and the card's own channel still works", true);
});

for (const view of VIEWS) {
  await part(view.name, async () => {
    const { name, ...options } = view;
    const context = await browser.newContext({ ...options, locale: "ja-JP", bypassCSP: true });
    const page = await context.newPage();
    const language = name === "desktop-dark" ? "en" : "ja";
    const look = async (state) => {
      await picture(page, `${state}-${name}`);
      await paintFrame(page);
      const findings = await seriousFindings(page);
      check(`${name}: ${state} has no serious accessibility finding`, findings.length === 0, findings.join("\n       "));
    };
    await openForm(page, language);
    await look("form");
    await fillPerson(page, language);
    await typeCard(page, { number: "4242424242424241" }, language);
    await page.locator("#pay").click();
    await look("error");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    check(`${name}: nothing is wider than the screen`, !overflow);
    const frame = cardFrame(page);
    const cut = await frame.locator("html").evaluate((html) => html.scrollHeight > window.innerHeight);
    check(`${name}: the frame is as tall as its fields, errors included`, !cut);
    await frame.getByLabel(TEXT[language].number).fill(PAN);
    await picture(page, `filled-${name}`);
    check(`${name}: a decline`, (await payWith(page, { number: "4000000000000002" }, language)) === "declined");
    await look("declined");
    check(`${name}: a payment`, (await payWith(page, {}, language)) === "paid");
    await look("paid");
    await context.close();
  });
}

await browser.close();
finish();
