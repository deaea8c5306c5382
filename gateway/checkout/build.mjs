// Builds dist/ out of src/. `--verify` builds in memory and fails when the committed files are not byte for byte the same.

import { readFile, writeFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { build, transform } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const banner = "/*! Kura checkout. Apache-2.0. Contains @hpke/core and @hpke/common, MIT, (c) Ajitomi Daisuke. */";
const bannerWithoutHpke = "/*! Kura checkout. Apache-2.0. */";

async function script(name, js) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [`src/${name}.ts`],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2020",
    charset: "utf8",
    minify: true,
    legalComments: "none",
    banner: { js },
    alias: { crypto: "./src/no-node-crypto.ts" },
    logLevel: "warning",
  });
  return result.outputFiles[0].text;
}

async function style(name) {
  const source = await readFile(path.join(here, `src/${name}.css`), "utf8");
  const options = { loader: "css", minify: true, charset: "utf8", target: ["chrome87", "firefox78", "safari14"] };
  return `${bannerWithoutHpke}\n${(await transform(source, options)).code}`;
}

const files = {
  "kura.js": await script("kura", bannerWithoutHpke),
  "card.js": await script("card", banner),
  "card.css": await style("card"),
  "pay.js": await script("pay", bannerWithoutHpke),
  "pay.css": await style("pay"),
  "card.html": await readFile(path.join(here, "src/card.html"), "utf8"),
};

const dist = path.join(here, "dist");
if (process.argv.includes("--verify")) {
  let drifted = false;
  for (const [name, text] of Object.entries(files)) {
    const committed = await readFile(path.join(dist, name), "utf8").catch(() => "");
    const same = committed === text;
    console.log(`${same ? "same" : "DIFFERS"} dist/${name}`);
    drifted ||= !same;
  }
  if (drifted) {
    console.error("dist/ is not what src/ builds to: run `npm run build` and commit it");
    process.exit(1);
  }
} else {
  await mkdir(dist, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(path.join(dist, name), text);
    console.log(`dist/${name}  ${Buffer.byteLength(text)} bytes`);
  }
}
