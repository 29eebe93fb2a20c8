// How registries of vendors differ. Each says where that is written down; where it is not, what people saw of it is taken.
import { randomBytes } from "node:crypto";
import { askedScope, basic, refusal, type Action, type Answer, type Asked } from "./answers";
import type { Site } from "./front";
import { granted, Tokens, tokenSite, type Account } from "./tokens";

/** A registry with its accounts. */
export interface Vendor {
    name: string;
    /** As references begin. */
    registry: string;
    /** A repository that needs a login, as it is written in a reference. */
    repository: string;
    /** Its key in docker's config file. */
    key: string;
    /** May pull and push. */
    full: Account;
    /** May pull alone. */
    reader: Account;
    /** What the registry says, in words that the client has to repeat. */
    says: { wrongPassword: RegExp; noLogin: RegExp; readOnly: RegExp };
    sites: Record<string, Site>;
}

const secret = (prefix: string) => `${prefix}${randomBytes(18).toString("hex")}`;

const ofBasic = (accounts: readonly Account[], authorization: string): Account | undefined => {
    const login = basic(authorization);
    return accounts.find(({ user, secret: own }) => login?.user === user && login.password === own);
};

/**
 * GitHub's container registry
 * (https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry): the user's name
 * is not looked at, the token is. Its token server is at `/token`, takes no POST, says 403 where others say 401, and gives everybody a
 * token for what is public. A token without `write:packages` hears of it at the upload.
 */
export function github(): Vendor {
    const registry = "ghcr.io";
    const full: Account = { user: "octocat", secret: secret("ghp_"), actions: ["pull", "push"] };
    const reader: Account = { user: "octocat", secret: secret("ghp_"), actions: ["pull"] };
    const tokens = new Tokens();
    const site = tokenSite({
        tokens,
        realm: `https://${registry}/token`,
        service: registry,
        insufficient: () =>
            refusal(403, "DENIED", "permission_denied: The token provided does not match expected scopes."),
    });
    const token = ({ method, url, authorization }: Asked): Answer => {
        if (method !== "GET") return { status: 405, body: { message: "Method Not Allowed" } };
        const { repository, actions } = askedScope(url.searchParams);
        const password = basic(authorization)?.password;
        const account = [full, reader].find(({ secret: own }) => own === password);
        const isPublic = repository.endsWith("/public");
        if (account === undefined && (authorization !== "" || !isPublic))
            return refusal(403, "DENIED", "denied");
        const may = account ? granted(actions, account) : (["pull"] satisfies Action[]);
        return { status: 200, body: { token: tokens.issue(repository, may) } };
    };
    return {
        name: "GHCR",
        registry,
        repository: "octo/hello",
        key: registry,
        full,
        reader,
        says: {
            wrongPassword: /denied/,
            noLogin: /denied/,
            readOnly: /permission_denied: The token provided does not/,
        },
        sites: { [registry]: (asked) => (asked.url.pathname === "/token" ? token(asked) : site(asked)) },
    };
}

/** What Azure's users are called whose password is a refresh token. */
export const AZURE_USER = "00000000-0000-0000-0000-000000000000";

/**
 * Azure's container registry (https://azure.github.io/acr/AAD-OAuth.html). `/oauth2/exchange` makes a refresh token of a token of the
 * directory, as `az acr login` does; `/oauth2/token` makes an access token of that (POST), or of user and password (GET), and calls it
 * `access_token`. A refresh token is also a password of the user of zeros.
 */
export function azure(): Vendor & { directoryToken: string } {
    const registry = "krustlet.azurecr.io";
    const full: Account = { user: "principal", secret: secret(""), actions: ["pull", "push", "delete"] };
    const reader: Account = { user: "puller", secret: secret(""), actions: ["pull"] };
    const directoryToken = secret("eyJ");
    const refreshTokens = new Map<string, Account>();
    const tokens = new Tokens();
    const site = tokenSite({ tokens, realm: `https://${registry}/oauth2/token`, service: registry });
    const unauthorized = refusal(
        401,
        "UNAUTHORIZED",
        "authentication required, visit https://aka.ms/acr/authorization for more information.",
    );
    const exchange = ({ method, form }: Asked): Answer => {
        if (
            method !== "POST" ||
            form.get("grant_type") !== "access_token" ||
            form.get("service") !== registry
        )
            return refusal(400, "UNSUPPORTED", "grant_type or service is not supported");
        if (form.get("access_token") !== directoryToken) return unauthorized;
        const refreshToken = secret("eyJ");
        refreshTokens.set(refreshToken, full);
        return { status: 200, body: { refresh_token: refreshToken } };
    };
    const token = ({ method, url, authorization, form }: Asked): Answer => {
        const fields = method === "POST" ? form : url.searchParams;
        if (fields.get("service") !== registry)
            return refusal(400, "UNSUPPORTED", "service is not supported");
        const login = basic(authorization);
        const account =
            method === "POST"
                ? form.get("grant_type") === "refresh_token" &&
                  refreshTokens.get(form.get("refresh_token") ?? "")
                : login?.user === AZURE_USER
                  ? refreshTokens.get(login.password)
                  : ofBasic([full, reader], authorization);
        if (!account) return unauthorized;
        const { repository, actions } = askedScope(fields);
        return { status: 200, body: { access_token: tokens.issue(repository, granted(actions, account)) } };
    };
    return {
        name: "Azure",
        registry,
        repository: "team/hello",
        key: registry,
        full,
        reader,
        directoryToken,
        says: {
            wrongPassword: /authentication required, visit https:\/\/aka\.ms\/acr\/authorization/,
            noLogin: /authentication required/,
            readOnly: /requested access to the resource is denied/,
        },
        sites: {
            [registry]: (asked) => {
                if (asked.url.pathname === "/oauth2/exchange") return exchange(asked);
                return asked.url.pathname === "/oauth2/token" ? token(asked) : site(asked);
            },
        },
    };
}

/** A service account's key, as Google's console writes it to a file: JSON of several lines. */
const googleKey = () =>
    JSON.stringify(
        {
            type: "service_account",
            project_id: "krustlet",
            private_key: `-----BEGIN PRIVATE KEY-----\n${secret("")}\n-----END PRIVATE KEY-----\n`,
            client_email: "ci@krustlet.iam.gserviceaccount.com",
        },
        null,
        2,
    );

/**
 * Google's Artifact Registry (https://docs.cloud.google.com/artifact-registry/docs/docker/authentication): the user says what the
 * password is: a key as `_json_key`, the same in base64 as `_json_key_base64`, a token of an hour as `oauth2accesstoken`. Its token
 * server at `/v2/token` takes no POST, and says 403 to nobody and to who lacks a right.
 */
export function google(): Vendor & { others: Account[] } {
    const registry = "europe-west1-docker.pkg.dev";
    const key = googleKey();
    const full: Account = { user: "_json_key", secret: key, actions: ["pull", "push", "delete"] };
    const others: Account[] = [
        { ...full, user: "_json_key_base64", secret: Buffer.from(key).toString("base64") },
        { ...full, user: "oauth2accesstoken", secret: secret("ya29.") },
    ];
    const reader: Account = { user: "oauth2accesstoken", secret: secret("ya29."), actions: ["pull"] };
    const tokens = new Tokens();
    const site = tokenSite({ tokens, realm: `https://${registry}/v2/token`, service: registry });
    const token = ({ method, url, authorization }: Asked): Answer => {
        if (method !== "GET") return { status: 404, body: {} };
        const { repository, actions } = askedScope(url.searchParams);
        const [project, name] = repository.split("/");
        const resource = `"projects/${project}/locations/europe-west1/repositories/${name}" (or it may not exist)`;
        const right = `"artifactregistry.repositories.${actions.includes("push") ? "upload" : "download"}Artifacts"`;
        const account = ofBasic([full, reader, ...others], authorization);
        if (authorization === "")
            return refusal(
                403,
                "DENIED",
                `Unauthenticated request. Unauthenticated requests do not have permission ${right} on resource ${resource}`,
            );
        if (account === undefined) return refusal(401, "UNAUTHORIZED", "authentication failed");
        if (granted(actions, account).length < actions.length)
            return refusal(403, "DENIED", `Permission ${right} denied on resource ${resource}`);
        const body = {
            token: tokens.issue(repository, actions),
            expires_in: 3600,
            issued_at: new Date().toISOString(),
        };
        return { status: 200, body };
    };
    return {
        name: "Google",
        registry,
        repository: "krustlet/modules/hello",
        key: registry,
        full,
        reader,
        others,
        says: {
            wrongPassword: /authentication failed/,
            noLogin: /Unauthenticated requests do not have permission/,
            readOnly: /Permission "artifactregistry\.repositories\.uploadArtifacts" denied/,
        },
        sites: { [registry]: (asked) => (asked.url.pathname === "/v2/token" ? token(asked) : site(asked)) },
    };
}

/**
 * Docker Hub (https://docs.docker.com/docker-hub/): `docker.io` in references, `registry-1.docker.io` (or
 * `index.docker.io`) as a host, `auth.docker.io` for tokens of `registry.docker.io`, and `https://index.docker.io/v1/` in docker's config file. A name of one part is in `library/`. Its
 * token server gives a token for what one may do, be it less than was asked for; the registry then refuses.
 */
export function dockerHub(): Vendor {
    const full: Account = { user: "whale", secret: secret("dckr_pat_"), actions: ["pull", "push"] };
    const reader: Account = { user: "whale", secret: secret("dckr_pat_"), actions: ["pull"] };
    const tokens = new Tokens();
    const site = tokenSite({ tokens, realm: "https://auth.docker.io/token", service: "registry.docker.io" });
    const token = ({ method, url, authorization }: Asked): Answer => {
        if (method !== "GET" || url.pathname !== "/token") return { status: 404, body: {} };
        if (url.searchParams.get("service") !== "registry.docker.io")
            return { status: 400, body: { details: "unknown service" } };
        const { repository, actions } = askedScope(url.searchParams);
        const account = ofBasic([full, reader], authorization);
        if (authorization !== "" && account === undefined)
            return { status: 401, body: { details: "incorrect username or password" } };
        const isPublic = repository.startsWith("library/");
        const may = account ? granted(actions, account) : isPublic ? (["pull"] satisfies Action[]) : [];
        const issued = tokens.issue(repository, may);
        return { status: 200, body: { token: issued, access_token: issued, expires_in: 300 } };
    };
    return {
        name: "Docker Hub",
        registry: "docker.io",
        repository: "whale/hello",
        key: "https://index.docker.io/v1/",
        full,
        reader,
        says: {
            wrongPassword: /incorrect username or password/,
            noLogin: /denied|authentication required/,
            readOnly: /requested access to the resource is denied/,
        },
        sites: { "registry-1.docker.io": site, "index.docker.io": site, "auth.docker.io": token },
    };
}
