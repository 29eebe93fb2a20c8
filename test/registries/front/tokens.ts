import { randomBytes } from "node:crypto";
import { needed, refusal, scopeOf, type Action, type Answer, type Asked } from "./answers";

/** Who may do what: the secret of each account, and its rights in every repository. */
export interface Account {
    user: string;
    /** Password, personal access token or key. */
    secret: string;
    actions: Action[];
}

/** Tokens that say nothing by themselves, as most vendors' are to a client. */
export class Tokens {
    private readonly grants = new Map<string, { repository: string; actions: Action[] }>();

    issue(repository: string, actions: Action[]): string {
        const token = randomBytes(24).toString("base64url");
        this.grants.set(token, { repository, actions });
        return token;
    }

    /** Whether a token is known, and whether it is for this. */
    allows(authorization: string, repository: string, action: Action): "unknown" | "no" | "yes" {
        const [scheme, token] = authorization.split(" ");
        const grant = scheme.toLowerCase() === "bearer" ? this.grants.get(token) : undefined;
        if (grant === undefined) return "unknown";
        return grant.repository === repository && grant.actions.includes(action) ? "yes" : "no";
    }
}

export interface TokenRegistry {
    tokens: Tokens;
    realm: string;
    service: string;
    /** Repositories that nobody needs a token for. */
    isOpen?: (repository: string) => boolean;
    /** What a token that is for something else is told. Default: the specification's 401 with `insufficient_scope`. */
    insufficient?: (repository: string, action: Action) => Answer;
}

/** The registry's side of the token flow (https://distribution.github.io/distribution/spec/auth/token/). */
export function tokenSite({ tokens, realm, service, insufficient }: TokenRegistry) {
    return (asked: Asked): Answer | "registry" => {
        const wanted = needed(asked);
        const challenge = (error: string) => ({
            "docker-distribution-api-version": "registry/2.0",
            "www-authenticate": [
                `Bearer realm="${realm}",service="${service}"`,
                ...(wanted ? [`scope="${scopeOf(wanted.repository, wanted.action)}"`] : []),
                ...(error ? [`error="${error}"`] : []),
            ].join(","),
        });
        if (wanted === undefined)
            return refusal(401, "UNAUTHORIZED", "authentication required", challenge(""));
        const { repository, action } = wanted;
        switch (tokens.allows(asked.authorization, repository, action)) {
            case "yes":
                return "registry";
            case "unknown":
                return refusal(
                    401,
                    "UNAUTHORIZED",
                    "authentication required",
                    challenge(asked.authorization === "" ? "" : "invalid_token"),
                );
            case "no":
                return (
                    insufficient?.(repository, action) ??
                    refusal(
                        401,
                        "DENIED",
                        "requested access to the resource is denied",
                        challenge("insufficient_scope"),
                    )
                );
        }
    };
}

export const granted = (actions: Action[], account: Account | undefined): Action[] =>
    actions.filter((action) => account?.actions.includes(action));
