/** What this field allows, as the steps have it too. */
export * from "../steps/rules";
