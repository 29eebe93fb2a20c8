/** The image of a node's programs: what is in it, and when it is another one. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import { imageOf, librariesIn } from "../../../../../steps/node/daemon/image";
import { scratchFolder, scriptedTools } from "../../lib/scriptedDocker";

const folder = scratchFolder("image");

const tools = scriptedTools();

void describe("an image of a program", () => {
    void it("has what that is linked with", () => {
        const printed = [
            "\tlinux-vdso.so.1 (0x00007ffd2a5f2000)",
            "\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f1c2d000000)",
            "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1c2cc00000)",
            "\t/lib64/ld-linux-x86-64.so.2 (0x00007f1c2d2a6000)",
        ].join("\n");
        assert.deepEqual(librariesIn(printed, "p"), [
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ]);
        assert.deepEqual(librariesIn("\tstatically linked\n", "p"), []);
        assert.throws(() => librariesIn("\tlibx.so.1 => not found\n", "/p"), /\/p: it needs libx.so.1/);
    });
    void it("is made once, and another one of another build", async () => {
        const program = path.join(folder, "p");
        const listed = path.join(folder, "listed");
        writeFileSync(program, "one", { mode: 0o700 });
        tools.script("ldd", "return 1;");
        tools.script(
            "docker",
            `if (argv[0] === "image") return fs.existsSync(${JSON.stringify(folder)} + "/" + argv.at(-1)) ? 0 : 1;
             fs.writeFileSync(${JSON.stringify(folder)} + "/" + argv.at(-1), "");
             const shown = require("node:child_process").execFileSync("tar", ["--list", "--verbose", "--file", argv.at(-2)]);
             fs.writeFileSync(${JSON.stringify(listed)}, shown);`,
        );
        const first = await imageOf([program]);
        assert.match(readFileSync(listed, "utf8"), /^-rwxr-xr-x 0\/0 .* \.\/bin\/p$/m);
        assert.match(readFileSync(listed, "utf8"), /^-rw-r--r-- 0\/0 .* \.\/etc\/nsswitch\.conf$/m);
        assert.equal(await imageOf([program]), first);
        assert.equal(tools.asked().filter((line) => line.startsWith("docker import")).length, 1);
        writeFileSync(program, "two");
        assert.notEqual(await imageOf([program]), first);
        assert.equal(tools.asked().filter((line) => line.startsWith("docker import")).length, 2);
    });
});
