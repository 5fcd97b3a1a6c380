// A minimal MCP Apps host: the official bridge, a sandboxed frame under an empty policy, one result.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
const { page, args, result, theme } = window.GIVEN;
window.seen = { initialized: false, sizes: 0, violations: 0 };
const frame = document.createElement("iframe");
frame.setAttribute("sandbox", "allow-scripts");
frame.style.cssText = "border:0;width:100%;height:900px";
document.body.style.cssText = `margin:0;background:${theme === "dark" ? "#11161d" : "#ffffff"}`;
document.body.append(frame);
const host = { name: "test-host", version: "1" };
const bridge = new AppBridge(null, host, {}, { hostContext: { theme, displayMode: "inline" } });
bridge.oninitialized = async () => {
  window.seen.initialized = true;
  await bridge.sendToolInput({ arguments: args });
  await bridge.sendToolResult(result);
};
bridge.onsizechange = ({ height }) => {
  window.seen.sizes += 1;
  frame.style.height = `${height}px`;
};
await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
frame.srcdoc = page.replace('<meta charset="utf-8">', `<meta charset="utf-8">${policy}`);
