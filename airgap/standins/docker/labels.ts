// Labels, which the provider writes as a list of pairs and Docker as a map.
import type { Props, Value } from "../lib/values";
import { isProps, listAt, textAt } from "../lib/values";
import type { Field } from "./schema";

export const labelsField: Field = {
    type: "objects",
    set: true,
    replaces: true,
    fields: { label: { type: "string", required: true }, value: { type: "string", required: true } },
};

export function labelsToMap(args: Props): Props {
    return Object.fromEntries(
        listAt(args, "labels").map((pair) => [textAt(pair, "label"), textAt(pair, "value")]),
    );
}

export function mapToLabels(map: Value | undefined): Value[] {
    return isProps(map)
        ? Object.entries(map)
              .sort(([a], [b]) => a.localeCompare(b))
              .map(([label, value]) => ({ label, value }))
        : [];
}
