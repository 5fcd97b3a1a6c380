// Talks to the stdio bridge as a TypeScript host: node typescript_bridge.mjs PYTHON sdk1|sdk2; one JSON line.
const [command, kind] = process.argv.slice(2);
const [clients, stdio] = kind === "sdk1"
  ? [await import("@modelcontextprotocol/sdk/client/index.js"), await import("@modelcontextprotocol/sdk/client/stdio.js")]
  : [await import("@modelcontextprotocol/client"), await import("@modelcontextprotocol/client/stdio")];
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "NODE_OPTIONS"));
const client = new clients.Client({ name: "wadm-test", version: "1" });
await client.connect(new stdio.StdioClientTransport({ command, args: ["-m", "wadm_client", "mcp"], env }));
const told = { tools: (await client.listTools()).tools.map((tool) => tool.name) };
const profile = await client.callTool({ name: "get_volume_profile", arguments: { symbol: "BTCUSDT" } });
told.poc = profile.structuredContent.poc;
told.text = JSON.parse(profile.content[0].text).poc;
told.refused = (await client.callTool({ name: "get_volume_profile", arguments: { symbol: "FOO" } })).isError === true;
await client.close();
console.log(JSON.stringify(told));
process.exit(0);
