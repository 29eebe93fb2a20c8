import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { blocking, listenersIn } from "../../../../steps/host/ports";

describe("listening sockets", () => {
    const table = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
        "   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0",
        "   2: 010012AC:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0",
        "   3: 010012AC:0BBA 020012AC:C000 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0",
    ].join("\n");
    it("are read from the kernel's table", () => {
        assert.deepEqual(listenersIn(table), [
            { address: "127.0.0.1", port: 8080 },
            { address: "0.0.0.0", port: 3000 },
            { address: "172.18.0.1", port: 3001 },
        ]);
        const six = "   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A x";
        const mapped =
            "   1: 0000000000000000FFFF00000100007F:0BB9 00000000000000000000000000000000:0000 0A x";
        assert.deepEqual(listenersIn(`${six}\n${mapped}`), [
            { address: "::", port: 3000 },
            { address: "127.0.0.1", port: 3001 },
        ]);
    });
    const all = listenersIn(table);
    const cases: [string | undefined, number, string | undefined][] = [
        ["172.18.0.1", 8080, undefined],
        ["172.18.0.1", 3000, "0.0.0.0"],
        ["172.18.0.1", 3001, "172.18.0.1"],
        ["172.19.0.1", 3001, undefined],
        [undefined, 3001, undefined],
        [undefined, 3000, "0.0.0.0"],
        ["172.18.0.1", 3002, undefined],
    ];
    for (const [address, port, blocker] of cases) {
        it(`${address ?? "an address to come"}:${port} is ${blocker ? "blocked" : "free"}`, () => {
            assert.equal(blocking(all, address, port)?.address, blocker);
        });
    }
});
