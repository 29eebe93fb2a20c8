import { stored } from "../../lib/schema";
import { step } from "../../lib/step";
import { localClusterInput, localTools, takeDown } from "./localCluster";

const needed = stored(localClusterInput, "tool", "name", "owner", "kubeconfigFile");

/** Removes it again: see takeDown. */
step(module, "deleteLocalCluster", needed, async (input) => {
    await takeDown(localTools[input.tool], input);
    return {};
});
