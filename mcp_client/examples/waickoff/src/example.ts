/** node dist/example.js SYMBOL...: one JSON line per symbol, as wAIckoff's handlers would see it. */
import { enrichAnalysis, handleGetVolumeProfile, WadmClient, WadmError } from "./services/wadm/index.js";

const client = new WadmClient();
for (const symbol of process.argv.slice(2)) {
  try {
    const found = await enrichAnalysis(client, { symbol }, symbol, null);
    const { content } = await handleGetVolumeProfile(client, { symbol });
    const text = JSON.parse(content[0]?.text ?? "null") as { value: { poc: number | null } };
    console.log(JSON.stringify({ ...found, handler_poc: text.value.poc }));
  } catch (error) {
    if (!(error instanceof WadmError)) throw error;
    console.log(JSON.stringify({ symbol, error: error.message }));
    process.exitCode = 1;
  }
}
