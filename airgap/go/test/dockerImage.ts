// A tiny image for tests, made from nothing: one static program, compiled here.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** `prog sleep` runs until it is killed, `prog exit 3` ends at once. */
const source = `
fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("exit") => std::process::exit(args[2].parse().unwrap()),
        _ => loop { std::thread::sleep(std::time::Duration::from_secs(3600)) },
    }
}
`;

/** Makes the image under that name, with `prog sleep` as its command. */
export function makeImage(name: string): void {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "plugins-image-"));
    try {
        fs.writeFileSync(path.join(folder, "prog.rs"), source);
        const options = ["-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o", "prog"];
        execFileSync("rustc", [...options, "prog.rs"], {
            cwd: folder,
            stdio: ["ignore", "inherit", "inherit"],
        });
        execFileSync("tar", ["-cf", "image.tar", "prog"], { cwd: folder });
        const change = 'CMD ["/prog", "sleep"]';
        execFileSync("docker", ["import", "--change", change, "image.tar", name], {
            cwd: folder,
            stdio: "ignore",
        });
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}
