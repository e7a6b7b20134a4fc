// Chromium, started for one script.

import { X509Certificate, createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** What has Chromium trust the certificate that these scripts trust, for its key. */
function trust(path) {
  const { publicKey } = new X509Certificate(readFileSync(path));
  const key = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
  return `--ignore-certificate-errors-spki-list=${key}`;
}

/** Starts Chromium with nothing kept from before, has `visit` use it, and ends it. */
export async function inChromium(visit) {
  const executablePath = programs.find((path) => existsSync(path));
  const profile = mkdtempSync(join(tmpdir(), "tidegate-chromium-"));
  // Its sandbox does not work for the superuser.
  const chromiumSandbox = process.getuid?.() !== 0;
  const args = [...flags, trust(process.env.NODE_EXTRA_CA_CERTS)];
  const context = await chromium.launchPersistentContext(profile, { executablePath, chromiumSandbox, args });
  context.setDefaultTimeout(30_000);
  try {
    await visit(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
