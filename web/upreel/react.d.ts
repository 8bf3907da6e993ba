export type Server = import('./upreel.js').Server;
export type Progress = import('./upreel.js').Progress;
export type Video = import('./upreel.js').Video;
export type UploadState = {
    /**
     * the file that was passed to `start`
     */
    file?: File;
    /**
     * of the upload
     */
    progress?: Progress;
    /**
     * once the upload is stored
     */
    videoId?: string;
    /**
     * once the server knows it; `status` is PROCESSED or FAILED in the end
     */
    video?: Video;
    /**
     * why the upload or the request for the video failed; its `message` is for users
     */
    error?: Error;
};
export type UploadActions = {
    /**
     * uploads a file and returns its video once it is
     * processed. It never rejects: see `error`. An earlier upload of this hook goes on, but is not shown any more.
     */
    start: (file: File) => Promise<Video | undefined>;
    /**
     * starts a failed upload again; what the server has is not sent again
     */
    retry: () => void;
    pause: () => void;
    resume: () => void;
    /**
     * cancels the upload, or forgets its result
     */
    cancel: () => void;
};
/**
 * @typedef {import('./upreel.js').Server} Server
 * @typedef {import('./upreel.js').Progress} Progress
 * @typedef {import('./upreel.js').Video} Video
 *
 * @typedef {object} UploadState
 * @property {File} [file] the file that was passed to `start`
 * @property {Progress} [progress] of the upload
 * @property {string} [videoId] once the upload is stored
 * @property {Video} [video] once the server knows it; `status` is PROCESSED or FAILED in the end
 * @property {Error} [error] why the upload or the request for the video failed; its `message` is for users
 *
 * @typedef {object} UploadActions
 * @property {(file: File) => Promise<Video | undefined>} start uploads a file and returns its video once it is
 *   processed. It never rejects: see `error`. An earlier upload of this hook goes on, but is not shown any more.
 * @property {() => void} retry starts a failed upload again; what the server has is not sent again
 * @property {() => void} pause
 * @property {() => void} resume
 * @property {() => void} cancel cancels the upload, or forgets its result
 */
/** Uploads one file at a time. An upload goes on when its component is unmounted.
 * @param {Server & {renditions?: boolean}} [options] `renditions`: also wait for the transcoding to HLS
 * @returns {UploadState & UploadActions} */
export declare function useUpload(options?: Server & {
    renditions?: boolean;
}): UploadState & UploadActions;
