import { serveProvider } from "../lib/provider";
import { CommandProvider } from "./provider";

declare const STANDIN_VERSION: string;

serveProvider((log) => new CommandProvider(STANDIN_VERSION, log));
