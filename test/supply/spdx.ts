/** Splits an SPDX expression; the old `MIT/Apache-2.0` of crates means OR. Throws on what cannot be one. */
function words(expression: string): string[] {
    const found = expression.match(/[()/]|[A-Za-z0-9.+-]+/g) ?? [];
    if (found.join("") !== expression.replace(/\s+/g, "")) throw new Error("characters that no licence has");
    return found.map((word) => (word === "/" ? "OR" : word));
}

/**
 * Whether a licence expression can be met with the allowed licences alone: of `A OR B` one, of `A AND B` both. An exception
 * (`Apache-2.0 WITH LLVM-exception`) has to be allowed as a whole. What is no valid expression is never met.
 */
export function licenceFits(expression: string, allowed: ReadonlySet<string>): boolean {
    try {
        const queue = words(expression);
        const either = (): boolean => {
            let met = both();
            while (queue[0] === "OR") {
                queue.shift();
                met = both() || met;
            }
            return met;
        };
        const both = (): boolean => {
            let met = one();
            while (queue[0] === "AND") {
                queue.shift();
                met = one() && met;
            }
            return met;
        };
        const one = (): boolean => {
            const word = queue.shift();
            if (word === "(") {
                const met = either();
                if (queue.shift() !== ")") throw new Error("a bracket is not closed");
                return met;
            }
            if (word === undefined || /^(AND|OR|WITH|\))$/.test(word))
                throw new Error("a licence is missing");
            if (queue[0] !== "WITH") return allowed.has(word);
            queue.shift();
            return allowed.has(`${word} WITH ${queue.shift() ?? ""}`);
        };
        const met = either();
        return met && queue.length === 0;
    } catch {
        return false;
    }
}
