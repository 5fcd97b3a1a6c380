export { ageMs, cacheFile, isFresh, readEntry } from "./wadmCache.js";
export { endpoints, readConfig, WadmClient } from "./wadmClient.js";
export type { WadmConfig } from "./wadmClient.js";
export { enrichAnalysis, handleGetOrderFlow, handleGetVolumeProfile } from "./wadmHandlers.js";
export { WadmError } from "./wadmTypes.js";
export type { Answer, CacheEntry, OrderFlow, Quality, VolumeProfile } from "./wadmTypes.js";
