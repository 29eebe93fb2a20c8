/** Every rule, once: components, configuration and steps take them from here. */
export * from "./names";
export * from "./numbers";
export * from "./registries";
export * from "./vocabulary";
