// Reads a WebVTT file with the W3C's parser, and prints its cues and what is wrong with it as JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { WebVTTParser } = createRequire(import.meta.url)("webvtt-parser");
const { cues, errors } = new WebVTTParser().parse(readFileSync(process.argv[2], "utf8"), "metadata");
console.log(JSON.stringify({
  cues: cues.map(({ startTime, endTime, text }) => ({ start: startTime, end: endTime, text })),
  errors: errors.map(({ line, message }) => `line ${line}: ${message}`),
}));
