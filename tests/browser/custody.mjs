// A custodian enters a share on the console's page, in a real browser: typing errors are told before anything leaves, the share
// itself leaves never, and with the last share the vault is unsealed.
//
// KURA_RUN_JSON: the running Kura, sealed, with two of three shares to open it. KURA_SHARES: their texts, as a JSON list.
// KURA_VAULT_NODES: how many vault nodes it has, if more than one; then each is unsealed, one after another.
// KURA_PICTURES: a folder for pictures, optional. One line per check; the exit code is 1 if any failed.

import { readFileSync } from "node:fs";
import axe from "axe-core";
import { check, finish, launch, part, picture, watchedContext } from "./browser.mjs";

const run = JSON.parse(readFileSync(process.env.KURA_RUN_JSON, "utf8"));
const shares = JSON.parse(readFileSync(process.env.KURA_SHARES, "utf8"));
const password = "nine quiet lanterns at dusk";

const text = async (page, selector) => (await page.locator(selector).first().textContent())?.trim() ?? "";

const enrol = async (page) => {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  await cdp.send("WebAuthn.addVirtualAuthenticator", { options });
  await page.goto(run.admin_enrolment);
  await page.fill("#password", password);
  await page.fill("#password_again", password);
  await Promise.all([page.waitForNavigation(), page.click("button.primary")]);
  await Promise.all([page.waitForNavigation(), page.click("button.primary")]);
  check("enrolment ends in the console", new URL(page.url()).pathname === "/payments", page.url());
};

// At both widths and in both schemes: no sideways scrolling, no serious axe violation, pictures.
const examine = async (page, name) => {
  for (const [width, height] of [[390, 844], [1280, 900]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await picture(page, `custody-${name}-${width}-${colorScheme}`);
      const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(`${name}: fits ${width} px, ${colorScheme}`, excess <= 0, `${excess} px too wide`);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const told = serious.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target).join(" ")}`);
      check(`${name}: no serious accessibility violation, ${width} px, ${colorScheme}`, serious.length === 0, told.join("; "));
    }
  }
};

const enter = async (page, share) => {
  await page.fill("#share", share);
  await Promise.all([page.waitForNavigation(), page.click(".custody button.primary")]);
};

/** Tries a text that must not leave the page. */
const refusedHere = async (page, typed) => {
  await page.fill("#share", typed);
  await page.click(".custody button.primary");
  await page.waitForFunction(() => document.querySelector(".custody .notice.bad")?.hidden === false);
  return text(page, ".custody .notice.bad");
};

const typingErrors = async (page) => {
  const [head, body] = shares[0].split(":");
  const groups = body.split("-");
  const wrong = groups.map((group, at) => (at === 4 ? `${group[0] === "7" ? "8" : "7"}${group.slice(1)}` : group));
  const told = await refusedHere(page, `${head}:${wrong.join("-")}`);
  check("a typing error is told with its group", told === "Group 5 is mistyped.", told);
  const selected = await page.evaluate(() => {
    const field = document.querySelector("#share");
    return field.value.slice(field.selectionStart, field.selectionEnd);
  });
  check("and the group is selected", selected === wrong[4], selected);
  await examine(page, "mistyped");
  const missing = await refusedHere(page, `${head}:${groups.slice(1).join("-")}`);
  check("a missing group is told", /11 groups of 9 characters; there are 10/.test(missing), missing);
  const other = await refusedHere(page, "tok_1234");
  check("another text is told apart", /begins with KURA-SHARE-1:/.test(other), other);
};

const forgedKeys = async (page) => {
  await page.reload();
  await page.evaluate(() => {
    const form = document.querySelector("form[data-custody]");
    const keys = JSON.parse(form.dataset.keys);
    form.dataset.keys = JSON.stringify({ ...keys, payload: keys.payload.replace(/"node":0/g, '"node":1') });
  });
  const told = await refusedHere(page, shares[0]);
  check("keys that the vault did not sign get no share", /not signed by its identity/.test(told), told);
};

const scenario = async (page, requests) => {
  await page.goto(`${run.admin}/custody`);
  check("the page says that the vault is sealed", (await text(page, "#vault + .chip")) === "Sealed");
  check("and who its custodians will be", /hana/.test(await text(page, ".checks")), await text(page, ".checks"));
  await examine(page, "sealed");
  await typingErrors(page);
  await forgedKeys(page);
  check("nothing was sent so far", !requests.some(({ method, url }) => method === "POST" && url.endsWith("/custody")));

  await page.reload();
  await enter(page, shares[0].toLowerCase().replaceAll("-", " ").replace("kura share 1", "kura-share-1"));
  check("a share is taken as people type it", /taken. 1 more needed/.test(await text(page, ".notice.outcome")), await text(page, "main"));
  check("and its custodian is marked", /hana\s*entered/.test(await text(page, ".checks .good")), await text(page, ".checks"));
  check("the field is empty again", (await page.inputValue("#share")) === "");
  await examine(page, "waiting");
  await enter(page, shares[0]);
  check("the same share is not taken twice", /entered already/.test(await text(page, ".notice.bad")));
  await enter(page, shares[2]);
  check("the last share unseals", /is unsealed/.test(await text(page, ".notice.outcome")), await text(page, "main"));
  check("the page says so", (await text(page, "#vault + .chip")) === "Unsealed");
  check("no share is asked for any more", (await page.locator("#share").count()) === 0);
  await examine(page, "unsealed");

  const everything = requests.map(({ url, body, headers }) => `${url} ${body} ${headers}`).join("\n").toUpperCase();
  const leaked = shares.flatMap((share) => share.split(":")[1].split("-")).filter((group) => everything.includes(encodeURIComponent(group)) || everything.includes(group));
  check("no group of a share left the browser", leaked.length === 0, leaked.join());
  check("nobody but the console was asked", requests.every(({ url }) => url.startsWith(`${run.admin}/`)));
};

/** With several nodes the page is about the first that is sealed; a share goes to the node that it was sealed to. */
const eachNode = async (page, nodes) => {
  const chip = () => text(page, "#vault + .chip");
  const node = () => text(page, ".custody dl dd");
  const outcome = () => text(page, ".notice.outcome");
  for (let at = 0; at < nodes; at += 1) {
    await page.goto(`${run.admin}/custody`);
    check(`the page is about node ${at}`, (await node()) === `${at}` && (await chip()) === "Sealed", await text(page, "main"));
    const other = await page.context().newPage();
    await other.goto(`${run.admin}/custody`);
    await enter(page, shares[0]);
    check(`node ${at} took a share`, /taken. 1 more needed/.test(await outcome()), await text(page, "main"));
    check("and the page stays with it", (await node()) === `${at}`, await text(page, "main"));
    // A page that was opened before: its keys are this node's too.
    await enter(other, shares[2]);
    const done = await text(other, ".notice.outcome");
    check(`the last share unseals node ${at}`, /is unsealed/.test(done), await text(other, "main"));
    await other.close();
  }
  await page.goto(`${run.admin}/custody`);
  check("then nothing is sealed", (await chip()) === "Unsealed" && (await page.locator("#share").count()) === 0);
};

const browser = await launch();
const { context, requests, troubles } = await watchedContext(browser, { locale: "en-US" });
const page = await context.newPage();
page.setDefaultTimeout(15_000);
await part("the scenario", async () => {
  await enrol(page);
  const nodes = Number(process.env.KURA_VAULT_NODES ?? 1);
  await (nodes > 1 ? eachNode(page, nodes) : scenario(page, requests));
  // The page asks for what may be refused: those answers are its own, and no trouble.
  const own = troubles.filter((trouble) => !/status of 4\d\d/.test(trouble));
  check("no page violated its policy or failed in a script", own.length === 0, own.join("; "));
});
await browser.close();
finish();
