import assert from "node:assert/strict";
import { test } from "node:test";
import { ageNow, ageWords, aged } from "../src/age.ts";
import type { Bar, Profile } from "../src/answers.ts";
import { Bars } from "../src/bars.ts";
import { decimal, plus, text, times } from "../src/decimal.ts";
import { profileRows } from "../src/profile_rows.ts";
import { proofOf } from "../src/proof.ts";
import { barCount, fitted, fitting, profileFor } from "../src/ranges.ts";
import { SseReader } from "../src/sse.ts";
import { FIRST, parsed, printed } from "../src/view_state.ts";

test("decimals keep every digit", () => {
  assert.equal(text(plus(decimal("63915.0"), times(decimal("0.1"), 3))), "63915.3");
  assert.equal(text(times(decimal("0.00001"), 123_456_789)), "1234.56789");
  assert.equal(text(plus(decimal("-0.5"), decimal("0.25"))), "-0.25");
  assert.equal(text(times(decimal("0.10"), 0)), "0.00");
  assert.throws(() => decimal("1e5"));
});

test("every range has bars, and never more than one answer holds", () => {
  for (const range of ["15m", "1h", "4h", "12h", "1d", "3d", "1w", "1M", "3M", "1y"] as const) {
    const allowed = fitting(range);
    assert.ok(allowed.length > 0, range);
    for (const name of allowed) assert.ok(barCount(range, name) <= 1_000);
    assert.ok(allowed.includes(fitted(range, "1m")));
  }
  assert.equal(fitted("1y", "1m"), "1d");
  assert.equal(fitted("4h", "5m"), "5m");
  assert.equal(profileFor("12h"), "1d");
});

test("an address and its state are the same, and nonsense is as if it were absent", () => {
  const state = parsed("#view=footprint&symbol=ETHUSDT&market=spot&range=1h&timeframe=5m&layers=delta.cvd");
  assert.equal(state.view, "footprint");
  assert.deepEqual(state.layers, ["delta", "cvd"]);
  assert.deepEqual(parsed(printed(state)), state);
  assert.deepEqual(parsed("#view=x&symbol=<script>&exchange=A&market=up&range=2h&timeframe=7m&until=soon"), FIRST);
  assert.ok(!printed(parsed("#key=wadm_secret&symbol=BTCUSDT")).includes("secret"));
});

test("events come whole, whatever way they were cut", () => {
  const sent = 'retry: 1000\n\nid: a.1\nevent: upsert\ndata: {"a":1}\n\nevent: heartbeat\ndata: {}\n\n';
  for (let size = 1; size < sent.length; size += 1) {
    const reader = new SseReader();
    const found = [];
    for (let at = 0; at < sent.length; at += size) found.push(...reader.push(sent.slice(at, at + size)));
    assert.deepEqual(found, [
      { type: "upsert", id: "a.1", data: '{"a":1}' },
      { type: "heartbeat", id: null, data: "{}" },
    ]);
  }
});

test("age goes on with our own clock and never backwards", () => {
  const known = aged(120, false, 1_000);
  assert.equal(ageNow(known, 1_500), 620);
  assert.equal(ageNow(known, 900), 120);
  assert.equal(ageWords(620), "0.6 s");
  assert.equal(ageWords(3_600_000), "60 min");
});

test("an unknown state proves nothing", () => {
  assert.equal(proofOf("verified_volume"), "verified");
  assert.equal(proofOf("contiguous"), "complete");
  assert.equal(proofOf("something new"), "missing");
  assert.equal(proofOf(undefined), "missing");
});

test("bars leave holes where nobody collected", () => {
  const bar = (minute: number): Bar => ({ period_start: new Date(minute * 60_000).toISOString() }) as Bar;
  const bars = new Bars(60_000, 4, 10 * 60_000, [bar(7), bar(10)]);
  assert.deepEqual([...bars.slots()].map(([at, one]) => [at / 60_000, one !== undefined]), [
    [7, true],
    [8, false],
    [9, false],
    [10, true],
  ]);
  assert.equal(bars.put(bar(11)), "newest");
  assert.equal(bars.put(bar(6)), "outside");
  assert.deepEqual([...bars.slots()].map(([at]) => at / 60_000), [8, 9, 10, 11]);
  assert.equal(bars.beside(11 * 60_000, -1)?.period_start, bar(10).period_start);
});

test("columns of a histogram are the rows of the long form", () => {
  const profile = {
    histogram: { low: "63880", step: "5", lot_size: "0.001", at: [0, 3], buy_lots: [12, 0], sell_lots: [1, 250] },
  } as unknown as Profile;
  assert.deepEqual(profileRows(profile, new Map([["63895", "HVN"]])), [
    { price: "63880", volume: "0.013", buy: "0.012", sell: "0.001", node: null },
    { price: "63895", volume: "0.250", buy: "0.000", sell: "0.250", node: "HVN" },
  ]);
});
