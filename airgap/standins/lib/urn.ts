// The parts of a URN: urn:pulumi:stack::project::parentType$type::name.

/** The resource's type token. */
export function typeOf(urn: string): string {
    const qualified = urn.split("::")[2] ?? "";
    return qualified.slice(qualified.lastIndexOf("$") + 1);
}

/** The resource's name. */
export function nameOf(urn: string): string {
    return urn.split("::").slice(3).join("::");
}
