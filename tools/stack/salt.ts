// The encryption salt of a stack's configuration: which passphrase its secrets are encrypted with.
import { createDecipheriv, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";

/** How Pulumi derives a key from a passphrase. */
const KEY = { iterations: 1_000_000, bytes: 32, digest: "sha256" };
const TAG_BYTES = 16;

/** `v1:`, the salt, and by its key the word "pulumi": `v1:`, nonce, text and tag; each in base64. */
const FORM = /^v1:([^:]+):v1:([^:]+):([^:]+)$/;

/**
 * Do secrets with this salt need this passphrase? Pulumi asks the same before it opens them. What is not in the form that is known here may
 * need it.
 */
export async function mayNeed(salt: string, passphrase: string): Promise<boolean> {
    const parts = FORM.exec(salt)
        ?.slice(1)
        .map((part) => Buffer.from(part, "base64"));
    if (parts === undefined) return true;
    const [random, nonce, sealed] = parts;
    const { iterations, bytes, digest } = KEY;
    const key = await promisify(pbkdf2)(passphrase.trim(), random, iterations, bytes, digest);
    try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce);
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
        decipher.update(sealed.subarray(0, -TAG_BYTES));
        decipher.final();
        return true;
    } catch {
        return false;
    }
}
