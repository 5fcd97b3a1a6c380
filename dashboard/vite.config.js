import { defineConfig } from "vite";

// The minifier drops the notices of what is in the bundle; their licences ask for them.
const LICENCES = `/*!
 * TradingView Lightweight Charts, Copyright (c) 2026 TradingView, Inc., Apache License 2.0
 * https://www.apache.org/licenses/LICENSE-2.0
 * fancy-canvas, Copyright (c) TradingView, Inc., MIT License
 */`;

// Relative addresses: the page may be served below a base path.
export default defineConfig({
  base: "./",
  build: {
    outDir: process.env.DASHBOARD_OUT ?? "../mcp_server/static",
    emptyOutDir: true,
    target: "es2022",
    // Data in a style sheet or an import would need another policy than 'self'.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { output: { postBanner: LICENCES } },
  },
});
