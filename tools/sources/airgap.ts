// The one file outside airgap/ that knows of it: what it can make, by the names that things have here.
import type { AirgapTool } from "../../airgap";
import type { ToolName } from "../toolchain/inspect";

export {
    airgapPrerequisites,
    ensureDocker,
    ensureImage,
    imageState,
    makeTool,
    toolState,
    type AirgapTool,
} from "../../airgap";

/** What airgap/ calls the thing that holds a tool. */
export const AIRGAP_NAME: Record<ToolName, AirgapTool> = {
    pulumi: "pulumi",
    "plugin-command": "pulumi-resource-command",
    "plugin-kubernetes": "pulumi-resource-kubernetes",
    "plugin-docker": "pulumi-resource-docker",
    kind: "kind",
    kubectl: "kubectl",
};
