export type Video = import('./upreel.js').Video;
export type Progress = import('./upreel.js').Progress;
export type Entry = import('./upreel.js').Entry;
export type Server = import('./upreel.js').Server;
declare const Base: typeof HTMLElement;
export declare class UpreelUploader extends Base {
    #private;
    /** Headers of every request to the API, or a function that returns them. @type {Server['headers']} */ headers: Server['headers'];
    constructor();
    get api(): string | undefined;
    set api(value: string | undefined);
    get multiple(): boolean;
    set multiple(value: boolean);
    get audio(): boolean;
    set audio(value: boolean);
    get disabled(): boolean;
    set disabled(value: boolean);
    /** Uploads files, as if the user had chosen them. Without `multiple`, only the first. @param {Iterable<File>} files */
    add(files: Iterable<File>): void;
}
export {};
