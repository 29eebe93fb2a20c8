// CNCF Distribution with logins of its own, which it checks itself: passwords of an htpasswd file, and a token server's signed tokens.
import { randomBytes, sign } from "node:crypto";
import { makeCertificate } from "../../unit/steps/node/makeCertificate";
import type { TestRegistry } from "../../parts";
import { askedScope, basic, type Asked } from "./answers";
import { granted, type Account } from "./tokens";
import type { Vendor } from "./vendors";

/** A vendor whose registry behind the front has settings of its own. */
export interface OwnRegistry extends Vendor {
    container: TestRegistry;
}

/** Passwords alone: Basic, without scopes; who is let in may do all. */
export function withPasswords(): OwnRegistry {
    const registry = "basic.registry.test";
    const full: Account = { user: "probe", secret: "probe-password", actions: ["pull", "push", "delete"] };
    return {
        name: "Distribution with htpasswd",
        registry,
        repository: "team/hello",
        key: registry,
        full,
        reader: full,
        says: {
            wrongPassword: /authentication required/,
            noLogin: /authentication required/,
            readOnly: /^there is no such login$/,
        },
        sites: { [registry]: () => "registry" },
        container: {
            name: "krustlet-registries-test-htpasswd",
            port: 5934,
            // bcrypt of the password above: `htpasswd -B` writes such a line.
            htpasswd: `${full.user}:$2b$05$920xD3zbUkOp8f7p.F5EFefQNrDGFv417CS/Q/CgcypIOfzvqQcWm`,
        },
    };
}

/**
 * Tokens (https://distribution.github.io/distribution/spec/auth/jwt/): signed by a server on another host, which gives what the account
 * may do of what was asked for. The registry verifies them.
 */
export function withTokens(): OwnRegistry {
    const [registry, issuer, service] = ["token.registry.test", "auth.registry.test", "krustlet registry"];
    const full: Account = {
        user: "writer",
        secret: randomBytes(12).toString("hex"),
        actions: ["pull", "push", "delete"],
    };
    const reader: Account = { user: "reader", secret: randomBytes(12).toString("hex"), actions: ["pull"] };
    const authority = makeCertificate({ commonName: "Token signers", authority: true });
    const signer = makeCertificate({ commonName: issuer, issuer: authority });
    const certificate = signer.certificate.replace(/-----[A-Z ]+-----|\s/g, "");

    const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const signed = (account: Account | undefined, access: object[]): string => {
        const now = Math.floor(Date.now() / 1000);
        const header = { typ: "JWT", alg: "ES256", x5c: [certificate] };
        const times = { iat: now, nbf: now - 60, exp: now + 300 };
        const claims = {
            iss: issuer,
            sub: account?.user ?? "",
            aud: service,
            jti: randomBytes(8).toString("hex"),
        };
        const content = `${encoded(header)}.${encoded({ ...claims, ...times, access })}`;
        const signature = sign("sha256", Buffer.from(content), {
            key: signer.privateKey,
            dsaEncoding: "ieee-p1363",
        });
        return `${content}.${signature.toString("base64url")}`;
    };
    const token = ({ url, authorization }: Asked) => {
        const login = basic(authorization);
        const account = [full, reader].find(
            ({ user, secret }) => login?.user === user && login.password === secret,
        );
        if (authorization !== "" && account === undefined)
            return {
                status: 401,
                body: { errors: [{ code: "UNAUTHORIZED", message: "unknown user or password" }] },
            };
        const { repository, actions } = askedScope(url.searchParams);
        const may = granted(actions, account);
        const access = may.length > 0 ? [{ type: "repository", name: repository, actions: may }] : [];
        return { status: 200, body: { token: signed(account, access), expires_in: 300 } };
    };
    return {
        name: "Distribution with tokens",
        registry,
        repository: "team/hello",
        key: registry,
        full,
        reader,
        says: {
            wrongPassword: /unknown user or password/,
            noLogin: /authentication required/,
            readOnly: /authentication required|access to the resource is denied/,
        },
        sites: { [registry]: () => "registry", [issuer]: token },
        container: {
            name: "krustlet-registries-test-tokens",
            port: 5935,
            files: { "roots.pem": authority.certificate },
            settings: [
                "REGISTRY_AUTH=token",
                `REGISTRY_AUTH_TOKEN_REALM=https://${issuer}/token`,
                `REGISTRY_AUTH_TOKEN_SERVICE=${service}`,
                `REGISTRY_AUTH_TOKEN_ISSUER=${issuer}`,
                "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/roots.pem",
            ],
        },
    };
}
