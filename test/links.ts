// Links in Markdown.

/** The relative links of a page: file (empty: the page itself) and anchor. What stands in code is none. */
export function relativeLinks(text: string): { file: string; anchor?: string }[] {
    const prose = text.replace(/^ *(```+)[\s\S]*?^ *\1$/gm, "").replace(/(`+)[^`]+\1(?!`)/g, "code");
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target]) => target)
        .filter((target) => !/^[a-z]+:/.test(target))
        .map((target) => {
            const [file, anchor] = target.split("#");
            return { file, anchor };
        });
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(text: string): string[] {
    const prose = text.replace(/^ *(```+)[\s\S]*?^ *\1$/gm, "");
    return [...prose.matchAll(/^#+ +(.*)$/gm)].map(([, heading]) =>
        heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N}_\- ]/gu, "")
            .replaceAll(" ", "-"),
    );
}
