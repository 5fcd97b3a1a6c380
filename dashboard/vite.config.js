import { defineConfig } from "vite";

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
  },
});
