// Connects as a TypeScript client: node typescript_clients.mjs URL sdk1|auto|legacy; prints one JSON line.
const [url, kind] = process.argv.slice(2);
const told = {};

async function open() {
  if (kind === "sdk1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const client = new Client({ name: "wadm-test", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const mode = kind === "auto" ? "auto" : "legacy";
  const client = new Client({ name: "wadm-test", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

const client = await open();
told.tools = (await client.listTools()).tools.map((tool) => tool.name);
const profile = await client.callTool({ name: "get_volume_profile", arguments: { symbol: "BTCUSDT" } });
told.poc = profile.structuredContent.poc;
told.text = JSON.parse(profile.content[0].text).poc;
const wrong = await client.callTool({ name: "get_volume_profile", arguments: { symbol: "FOO" } });
told.refused = wrong.isError === true;
told.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
const resource = await client.readResource({ uri: "wadm://volume_profile/BTCUSDT/1h" });
told.resource = JSON.parse(resource.contents[0].text).poc;
told.version = client.getNegotiatedProtocolVersion?.() ?? null;
await client.close();
console.log(JSON.stringify(told));
process.exit(0);
