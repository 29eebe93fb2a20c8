import { CommandProvider } from "./provider";
import { serveProvider } from "./service";

declare const STANDIN_VERSION: string;

serveProvider((log) => new CommandProvider(STANDIN_VERSION, log));
