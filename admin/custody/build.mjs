// Builds dist/ out of src/. `--verify` builds in memory and fails when the committed file is not byte for byte the same.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const banner = "/*! Kura console. Apache-2.0. Contains @hpke/core and @hpke/common, MIT, (c) Ajitomi Daisuke. */";

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/custody.ts"],
  bundle: true,
  write: false,
  format: "iife",
  platform: "browser",
  target: "es2020",
  charset: "utf8",
  minify: true,
  legalComments: "none",
  banner: { js: banner },
  alias: { crypto: "./src/no-node-crypto.ts" },
  logLevel: "warning",
});
const text = result.outputFiles[0].text;
const file = path.join(here, "dist/custody.js");

if (process.argv.includes("--verify")) {
  const same = (await readFile(file, "utf8").catch(() => "")) === text;
  console.log(`${same ? "same" : "DIFFERS"} dist/custody.js`);
  if (!same) {
    console.error("dist/ is not what src/ builds to: run `npm run build` and commit it");
    process.exit(1);
  }
} else {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  console.log(`dist/custody.js  ${Buffer.byteLength(text)} bytes`);
}
