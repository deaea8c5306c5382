// A shopper pays on our own checkout page, in a real browser: a declined card, then a good one; no readable digit of a card leaves
// the browser, and the page's policy is never touched. Pictures at phone and desktop width, light and dark, in both languages.
//
// KURA_RUN_JSON   the run file of a running Kura       KURA_PICTURES   where screenshots go

import { readFile } from "node:fs/promises";
import { check, finish, launch, part, picture, runningKura, seriousFindings, VIEWS, watchedContext } from "./browser.mjs";

const kura = await runningKura();
const { keys } = JSON.parse(await readFile(process.env.KURA_RUN_JSON, "utf8"));
const browser = await launch();
const PAN = "4242424242424242";
const DECLINED = "4000000000009995";

async function session(locale, extra = {}) {
  const body = new URLSearchParams({
    mode: "payment",
    success_url: `${kura.fronts}/?session={CHECKOUT_SESSION_ID}`,
    cancel_url: `${kura.fronts}/`,
    locale,
    "line_items[0][price_data][currency]": "jpy",
    "line_items[0][price_data][unit_amount]": "3980",
    "line_items[0][price_data][product_data][name]": "有田焼の茶碗",
    "line_items[0][quantity]": "2",
    ...extra,
  });
  const answer = await fetch(`${kura.gateway}/v1/checkout/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${keys.sk_test}` },
    body,
  });
  return answer.json();
}

async function typeCard(page, number, label) {
  const frame = page.frameLocator("#card iframe");
  await frame.getByLabel(label).pressSequentially(number);
  await page.keyboard.press("Tab");
  await page.keyboard.type("1234");
  await page.keyboard.press("Tab");
  await page.keyboard.type("737");
}

await part("a shopper pays", async () => {
  const { context, requests, troubles } = await watchedContext(browser);
  const page = await context.newPage();
  const made = await session("ja");
  await page.goto(made.url);
  await page.frameLocator("#card iframe").getByLabel("カード番号").waitFor();
  check("the total is shown", (await page.locator("#total").innerText()) === "¥7,960");
  await page.locator("#pay").click();
  check("an e-mail address is asked for", /メールアドレス/.test(await page.locator("#error").innerText()));
  await page.getByLabel("メールアドレス").fill("taro@example.jp");
  await typeCard(page, DECLINED, "カード番号");
  await page.locator("#pay").click();
  await page.locator("#error", { hasText: "別のカード" }).waitFor();
  check("a declined card is told, and the form stays", await page.locator("#pay").isEnabled());
  await typeCard(page, PAN, "カード番号");
  await page.locator("#pay").click();
  await page.waitForURL((url) => url.href.startsWith(kura.fronts));
  check("the shopper is back at the shop with the session's id", page.url().includes(made.id));
  // The sample shop's own troubles are not this page's.
  const own = troubles.filter((trouble) => !trouble.includes(kura.fronts));
  const digits = requests.filter(({ url, headers, body }) => [url, headers, body].some((text) => text.includes(PAN.slice(0, 8)) || text.includes(DECLINED)));
  check("no request anywhere holds digits of a card", digits.length === 0, digits.map(({ url }) => url).join(" "));
  check("no policy violation, console error or exception", own.length === 0, own.join("\n       "));
  const paid = await fetch(`${kura.gateway}/v1/checkout/sessions/${made.id}`, { headers: { authorization: `Bearer ${keys.sk_test}` } });
  check("the session is complete", (await paid.json()).status === "complete");
  await page.goto(made.url);
  check("its page leads to the shop from then on", page.url().startsWith(kura.fronts));
  await context.close();
});

for (const { name, ...view } of VIEWS) {
  for (const language of ["ja", "en"]) {
    await part(`${name} ${language}`, async () => {
      const { context } = await watchedContext(browser, { ...view, bypassCSP: true });
      const page = await context.newPage();
      const made = await session(language);
      await page.goto(made.url);
      await page.frameLocator("#card iframe").getByLabel(language === "ja" ? "カード番号" : "Card number").waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      check(`${name} ${language}: nothing is cut off`, !wide);
      const background = await page.locator("form").evaluate((form) => getComputedStyle(form).backgroundColor);
      await page.frameLocator("#card iframe").locator("html").evaluate((html, colour) => html.style.setProperty("background", colour), background);
      const findings = await seriousFindings(page);
      check(`${name} ${language}: axe finds nothing serious`, findings.length === 0, findings.join("\n       "));
      await picture(page, `pay-${name}-${language}`);
      await context.close();
    });
  }
}
await browser.close();
finish();
