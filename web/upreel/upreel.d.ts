export type Server = {
    /**
     * base URL of the API; defaults to the origin of the page
     */
    api?: string;
    /**
     * headers of every API request, such as Authorization; a function is called for each request, since tokens expire
     */
    headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
    /**
     * whether the server accepts files with audio alone: its parameter `Audio`
     */
    audio?: boolean;
};
export type State = 'ready' | 'sending' | 'waiting' | 'pausing' | 'paused' | 'finishing' | 'stored' | 'failed' | 'cancelled';
export type Progress = {
    state: State;
    /**
     * bytes
     */
    sent: number;
    /**
     * bytes
     */
    total: number;
    /**
     * bytes per second, averaged over the last 5 seconds
     */
    speed?: number;
    secondsLeft?: number;
    /**
     * why the upload is waiting or has failed
     */
    error?: UpreelError;
};
export type Entry = {
    id: string;
    /**
     * undefined if it was sent in one request through the API
     */
    videoId?: string;
    name: string;
    size: number;
    type: string;
    lastModified: number;
    /**
     * bytes that the server has
     */
    sent: number;
    uploadId?: string;
    key?: string;
};
export type Failure = {
    code: 'UNSUPPORTED_MEDIA' | 'EMPTY_FILE' | 'TOO_LARGE' | 'TOO_LONG' | 'QUOTA_EXCEEDED' | 'NO_VIDEO' | 'ENCRYPTED' | 'UNREADABLE' | 'TOO_COMPLEX' | 'LOST' | 'SOURCE_FORBIDDEN' | 'SOURCE_UNAVAILABLE' | 'SOURCE_TIMEOUT' | 'FETCH_FAILED' | 'INTERNAL' | 'INFECTED' | 'REJECTED' | 'NOT_CHECKED';
    /**
     * for users
     */
    message: string;
};
export type Fetch = {
    bytesDone: number;
    /**
     * undefined if the source does not state its size
     */
    bytesTotal?: number;
};
export type Transcode = {
    /**
     * `OFFERED`: the first request for `/videos/{videoId}/hls/master.m3u8` starts it; `hlsUrl` is absent until it is DONE
     */
    status: 'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED';
    chunksDone: number;
    /**
     * 0 until planning is done
     */
    chunksTotal: number;
    error?: Failure;
};
export type Rendition = {
    /**
     * `v` and the length of the shorter side in pixels, such as `v720`
     */
    name: string;
    /**
     * `DONE`: the master playlist has it
     */
    status: 'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED';
};
export type Playback = {
    /**
     * by segments without transcoding, or only as a file
     */
    mode: 'HLS' | 'ORIGINAL';
    /**
     * why not by HLS, such as `OPEN_GOP`
     */
    reason?: string;
};
export type Captions = {
    /**
     * language tag (BCP 47)
     */
    language: string;
    /**
     * name to show
     */
    label: string;
    /**
     * as the attribute of `<track>`
     */
    kind: 'subtitles' | 'captions';
    /**
     * WebVTT file, valid for 10 to 15 minutes; not in lists
     */
    url?: string;
};
export type Details = {
    /**
     * show `filename` without one
     */
    title?: string;
    /**
     * may have several lines
     */
    description?: string;
    tags?: string[];
    /**
     * texts that only your application understands
     */
    metadata?: Record<string, string>;
    /**
     * RFC 3339; the video is deleted then
     */
    expiresAt?: string;
};
export type Change = {
    title?: string | null;
    description?: string | null;
    /**
     * all tags
     */
    tags?: string[] | null;
    /**
     * entries to set or remove
     */
    metadata?: Record<string, string | null> | null;
    expiresAt?: string | null;
};
export type Video = {
    videoId: string;
    userId: string;
    filename: string;
    contentType: string;
    /**
     * bytes
     */
    size?: number;
    status: 'PENDING' | 'UPLOADED' | 'PROCESSING' | 'PROCESSED' | 'FAILED';
    /**
     * the upload is held until it is checked; the status is UPLOADED
     */
    check?: 'PENDING';
    /**
     * RFC 3339
     */
    uploadTime: string;
    title?: string;
    description?: string;
    tags?: string[];
    metadata?: Record<string, string>;
    /**
     * RFC 3339
     */
    expiresAt?: string;
    /**
     * a file with audio alone
     */
    kind?: 'AUDIO';
    /**
     * poster, 640 pixels wide
     */
    thumbnailUrl?: string;
    /**
     * poster, 1280 pixels wide
     */
    thumbnailLargeUrl?: string;
    /**
     * WebVTT file that maps times to tiles of the storyboard
     */
    storyboardUrl?: string;
    /**
     * image of up to 100 tiles
     */
    storyboardImageUrl?: string;
    /**
     * JSON with the peaks of the waveform of a file with audio alone
     */
    peaksUrl?: string;
    /**
     * plays the original, valid for 10 to 15 minutes; not in lists
     */
    url?: string;
    /**
     * downloads the original under its filename; not in lists
     */
    downloadUrl?: string;
    /**
     * placeholder to show while the poster loads
     */
    blurHash?: string;
    /**
     * master playlist, present as soon as the original can be played by HLS or renditions exist
     */
    hlsUrl?: string;
    playback?: Playback;
    /**
     * present while the server copies the video from a URL, with status `PENDING`
     */
    fetch?: Fetch;
    transcode?: Transcode;
    renditions?: Rendition[];
    captions?: Captions[];
    durationMs?: number;
    /**
     * display width in pixels
     */
    width?: number;
    /**
     * display height in pixels
     */
    height?: number;
    /**
     * clockwise degrees by which players rotate the stored frames
     */
    rotation?: 0 | 90 | 180 | 270;
    /**
     * players mirror the stored frames before they rotate them
     */
    mirrored?: true;
    frameRate?: number;
    /**
     * FFmpeg's name
     */
    videoCodec?: string;
    /**
     * FFmpeg's name; `smpte2084` and `arib-std-b67` are HDR
     */
    colorTransfer?: string;
    /**
     * present if the video is Dolby Vision
     */
    dolbyVisionProfile?: number;
    /**
     * FFmpeg's name
     */
    audioCodec?: string;
    audioChannels?: number;
    audioSampleRate?: number;
    container?: 'mp4' | 'mov' | '3gp' | 'webm' | 'mkv' | 'avi' | 'mpegts' | 'mpegps' | 'mpegvideo' | 'flv' | 'ogg' | 'wmv' | 'mp3' | 'aac' | 'flac' | 'wav';
    error?: Failure;
};
export type Problem = {
    type: string;
    title: string;
    status: number;
    /**
     * what to do
     */
    detail: string;
    code: 'INVALID_REQUEST' | 'MALFORMED_BODY' | 'INVALID_CAPTIONS' | 'MISSING_FILE' | 'EMPTY_FILE' | 'UNAUTHORIZED' | 'NOT_FOUND' | 'NOT_READY' | 'METHOD_NOT_ALLOWED' | 'CONFLICT' | 'PRECONDITION_FAILED' | 'QUOTA_EXCEEDED' | 'TOO_LARGE' | 'UNSUPPORTED_MEDIA' | 'UNDECODABLE' | 'IDEMPOTENCY_MISMATCH' | 'FETCH_DISABLED' | 'INTERNAL';
    /**
     * same as `title`
     */
    error: string;
    /**
     * same as `detail`
     */
    message: string;
    /**
     * the quota that the request would exceed
     */
    quota?: 'bytes' | 'videos' | 'uploads';
    /**
     * of this quota
     */
    limit?: number;
    used?: number;
    left?: number;
};
export type Quantity = {
    used: number;
    /**
     * undefined if there is none
     */
    limit?: number;
    /**
     * undefined if there is no limit
     */
    left?: number;
};
export type Usage = {
    bytes?: Quantity;
    videos?: Quantity;
    /**
     * those in progress
     */
    uploads?: Quantity;
    maxDurationSeconds?: number;
    /**
     * the containers that are accepted; undefined if all are
     */
    types?: string[];
};
export type Session = {
    videoId?: string;
    idempotencyKey?: string;
    uploadId?: string;
    key?: string;
    partSize?: number;
    method?: string;
    uploadUrl?: string;
    headers?: Record<string, string>;
};
export type Transfer = {
    method: string;
    url: string;
    headers?: Record<string, string>;
    body: Blob | FormData;
    toApi?: boolean;
};
export type Answer = {
    status: number;
    etag: string | null;
    text: string;
};
export type ApiResponse = {
    status: number;
    headers: Headers;
    text: string;
};
export type Watcher = {
    renditions?: boolean;
    onChange: (video: Video) => void;
    onRetry: (error: UpreelError) => void;
    fail: (error: unknown) => void;
    last?: string;
    retried?: boolean;
};
/**
 * @typedef {object} Server
 * @property {string} [api] base URL of the API; defaults to the origin of the page
 * @property {Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)} [headers]
 *   headers of every API request, such as Authorization; a function is called for each request, since tokens expire
 * @property {boolean} [audio] whether the server accepts files with audio alone: its parameter `Audio`
 *
 * @typedef {'ready' | 'sending' | 'waiting' | 'pausing' | 'paused' | 'finishing' | 'stored' | 'failed' | 'cancelled'} State
 *   `waiting`: for the connection, or before the next attempt; `pausing`: the requests in progress are finished first
 *
 * @typedef {object} Progress
 * @property {State} state
 * @property {number} sent bytes
 * @property {number} total bytes
 * @property {number} [speed] bytes per second, averaged over the last 5 seconds
 * @property {number} [secondsLeft]
 * @property {UpreelError} [error] why the upload is waiting or has failed
 *
 * @typedef {object} Entry an upload that was interrupted, such as by a reload of the page
 * @property {string} id
 * @property {string} [videoId] undefined if it was sent in one request through the API
 * @property {string} name
 * @property {number} size
 * @property {string} type
 * @property {number} lastModified
 * @property {number} sent bytes that the server has
 * @property {string} [uploadId]
 * @property {string} [key]
 *
 * @typedef {object} Failure why a video could not be processed
 * @property {'UNSUPPORTED_MEDIA' | 'EMPTY_FILE' | 'TOO_LARGE' | 'TOO_LONG' | 'QUOTA_EXCEEDED' | 'NO_VIDEO' | 'ENCRYPTED'
 *   | 'UNREADABLE' | 'TOO_COMPLEX' | 'LOST' | 'SOURCE_FORBIDDEN' | 'SOURCE_UNAVAILABLE' | 'SOURCE_TIMEOUT' | 'FETCH_FAILED'
 *   | 'INTERNAL' | 'INFECTED' | 'REJECTED' | 'NOT_CHECKED'} code
 * @property {string} message for users
 *
 * @typedef {object} Fetch progress of the copy of a video from a URL
 * @property {number} bytesDone
 * @property {number} [bytesTotal] undefined if the source does not state its size
 *
 * @typedef {object} Transcode progress of the renditions
 * @property {'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED'} status `OFFERED`: the first request for `/videos/{videoId}/hls/master.m3u8` starts it; `hlsUrl` is absent until it is DONE
 * @property {number} chunksDone
 * @property {number} chunksTotal 0 until planning is done
 * @property {Failure} [error]
 *
 * @typedef {object} Rendition what can be encoded beside the original: a request for its playlist starts that
 * @property {string} name `v` and the length of the shorter side in pixels, such as `v720`
 * @property {'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED'} status `DONE`: the master playlist has it
 *
 * @typedef {object} Playback how the original can be played
 * @property {'HLS' | 'ORIGINAL'} mode by segments without transcoding, or only as a file
 * @property {string} [reason] why not by HLS, such as `OPEN_GOP`
 *
 * @typedef {object} Captions a track of captions
 * @property {string} language language tag (BCP 47)
 * @property {string} label name to show
 * @property {'subtitles' | 'captions'} kind as the attribute of `<track>`
 * @property {string} [url] WebVTT file, valid for 10 to 15 minutes; not in lists
 *
 * @typedef {object} Details what the user says about a video; the limits are in openapi.yaml
 * @property {string} [title] show `filename` without one
 * @property {string} [description] may have several lines
 * @property {string[]} [tags]
 * @property {Record<string, string>} [metadata] texts that only your application understands
 * @property {string} [expiresAt] RFC 3339; the video is deleted then
 *
 * @typedef {object} Change fields to set, and with null to remove; those that are left out stay as they are
 * @property {string | null} [title]
 * @property {string | null} [description]
 * @property {string[] | null} [tags] all tags
 * @property {Record<string, string | null> | null} [metadata] entries to set or remove
 * @property {string | null} [expiresAt]
 *
 * @typedef {object} Video as openapi.yaml describes it; fields without a known value are missing
 * @property {string} videoId
 * @property {string} userId
 * @property {string} filename
 * @property {string} contentType
 * @property {number} [size] bytes
 * @property {'PENDING' | 'UPLOADED' | 'PROCESSING' | 'PROCESSED' | 'FAILED'} status
 * @property {'PENDING'} [check] the upload is held until it is checked; the status is UPLOADED
 * @property {string} uploadTime RFC 3339
 * @property {string} [title]
 * @property {string} [description]
 * @property {string[]} [tags]
 * @property {Record<string, string>} [metadata]
 * @property {string} [expiresAt] RFC 3339
 * @property {'AUDIO'} [kind] a file with audio alone
 * @property {string} [thumbnailUrl] poster, 640 pixels wide
 * @property {string} [thumbnailLargeUrl] poster, 1280 pixels wide
 * @property {string} [storyboardUrl] WebVTT file that maps times to tiles of the storyboard
 * @property {string} [storyboardImageUrl] image of up to 100 tiles
 * @property {string} [peaksUrl] JSON with the peaks of the waveform of a file with audio alone
 * @property {string} [url] plays the original, valid for 10 to 15 minutes; not in lists
 * @property {string} [downloadUrl] downloads the original under its filename; not in lists
 * @property {string} [blurHash] placeholder to show while the poster loads
 * @property {string} [hlsUrl] master playlist, present as soon as the original can be played by HLS or renditions exist
 * @property {Playback} [playback]
 * @property {Fetch} [fetch] present while the server copies the video from a URL, with status `PENDING`
 * @property {Transcode} [transcode]
 * @property {Rendition[]} [renditions]
 * @property {Captions[]} [captions]
 * @property {number} [durationMs]
 * @property {number} [width] display width in pixels
 * @property {number} [height] display height in pixels
 * @property {0 | 90 | 180 | 270} [rotation] clockwise degrees by which players rotate the stored frames
 * @property {true} [mirrored] players mirror the stored frames before they rotate them
 * @property {number} [frameRate]
 * @property {string} [videoCodec] FFmpeg's name
 * @property {string} [colorTransfer] FFmpeg's name; `smpte2084` and `arib-std-b67` are HDR
 * @property {number} [dolbyVisionProfile] present if the video is Dolby Vision
 * @property {string} [audioCodec] FFmpeg's name
 * @property {number} [audioChannels]
 * @property {number} [audioSampleRate]
 * @property {'mp4' | 'mov' | '3gp' | 'webm' | 'mkv' | 'avi' | 'mpegts' | 'mpegps' | 'mpegvideo'
 *   | 'flv' | 'ogg' | 'wmv' | 'mp3' | 'aac' | 'flac' | 'wav'} [container]
 * @property {Failure} [error]
 *
 * @typedef {object} Problem the body of an error response (RFC 9457)
 * @property {string} type
 * @property {string} title
 * @property {number} status
 * @property {string} detail what to do
 * @property {'INVALID_REQUEST' | 'MALFORMED_BODY' | 'INVALID_CAPTIONS' | 'MISSING_FILE' | 'EMPTY_FILE' | 'UNAUTHORIZED'
 *   | 'NOT_FOUND' | 'NOT_READY' | 'METHOD_NOT_ALLOWED' | 'CONFLICT' | 'PRECONDITION_FAILED' | 'QUOTA_EXCEEDED'
 *   | 'TOO_LARGE' | 'UNSUPPORTED_MEDIA' | 'UNDECODABLE' | 'IDEMPOTENCY_MISMATCH' | 'FETCH_DISABLED' | 'INTERNAL'} code
 * @property {string} error same as `title`
 * @property {string} message same as `detail`
 * @property {'bytes' | 'videos' | 'uploads'} [quota] the quota that the request would exceed
 * @property {number} [limit] of this quota
 * @property {number} [used]
 * @property {number} [left]
 *
 * @typedef {object} Quantity
 * @property {number} used
 * @property {number} [limit] undefined if there is none
 * @property {number} [left] undefined if there is no limit
 *
 * @typedef {object} Usage empty if there are no quotas
 * @property {Quantity} [bytes]
 * @property {Quantity} [videos]
 * @property {Quantity} [uploads] those in progress
 * @property {number} [maxDurationSeconds]
 * @property {string[]} [types] the containers that are accepted; undefined if all are
 */
/** @typedef {{videoId?: string, idempotencyKey?: string, uploadId?: string, key?: string, partSize?: number,
 *   method?: string, uploadUrl?: string, headers?: Record<string, string>}} Session what the server has created
 * @typedef {{method: string, url: string, headers?: Record<string, string>, body: Blob | FormData, toApi?: boolean}} Transfer
 * @typedef {{status: number, etag: string | null, text: string}} Answer
 * @typedef {{status: number, headers: Headers, text: string}} ApiResponse
 * @typedef {{renditions?: boolean, onChange: (video: Video) => void, onRetry: (error: UpreelError) => void,
 *   fail: (error: unknown) => void, last?: string, retried?: boolean}} Watcher */
/** A failed request. `message` can be shown to users; `code` is the server's, or NETWORK, OFFLINE, UNREADABLE_FILE. */
export declare class UpreelError extends Error {
    /** HTTP status, or 0. */
    status: number;
    code: string;
    /** Milliseconds that the server asks to wait. */
    retryAfter: number;
    /** Whether this file is rejected, so that sending it again is pointless. */
    refused: boolean;
    /** Whether a retry with this file makes no sense: it is rejected, or has to be chosen again. */
    final: boolean;
    /** Whether a retry may succeed. */
    temporary: boolean;
    /** @param {{status?: number, code: string, message: string, retryAfter?: number, cause?: unknown}} details */
    constructor({ status, code, message, retryAfter, cause }: {
        status?: number;
        code: string;
        message: string;
        retryAfter?: number;
        cause?: unknown;
    });
}
/** Uploads a file and returns the id of its video. @param {File} file
 * @param {Server & {details?: Details, onProgress?: (progress: Progress) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string}>} */
export declare function upload(file: File, { signal, ...options }?: Server & {
    details?: Details;
    onProgress?: (progress: Progress) => void;
    signal?: AbortSignal;
}): Promise<{
    videoId: string;
}>;
/** The upload of one file. */
export declare class Upload {
    #private;
    file: File;
    /** @type {State} */ state: State;
    /** Bytes. */ sent: number;
    /** @param {File} file @param {Server & {details?: Details, onProgress?: (progress: Progress) => void}} [options] */
    constructor(file: File, { details, onProgress, ...server }?: Server & {
        details?: Details;
        onProgress?: (progress: Progress) => void;
    });
    /** Undefined until the server has created the video. */
    get videoId(): string | undefined;
    /** Starts the upload, or resumes it after a failure. @returns {Promise<{videoId: string}>} */
    start(): Promise<{
        videoId: string;
    }>;
    /** Stops sending once the requests in progress have finished, so that nothing is sent twice. A file that is sent in
     * one request can therefore be `stored` after this. */
    pause(): void;
    /** Continues after `pause()`. */
    resume(): void;
    /** Cancels the upload and deletes it from the server; `start()` rejects with the reason. */
    cancel(/** @type {unknown} */ reason?: unknown): Promise<void>;
}
/** Lists uploads that a page reload interrupted. Pass the same file to `upload()` to resume one; a file of up to 16 MiB
 * is sent again. @param {Server} [server] @returns {Promise<Entry[]>} */
export declare function interrupted(server?: Server): Promise<Entry[]>;
/** Returns the ids of the videos that tabs of this browser are uploading. @param {Server} [server] */
export declare function uploading(server?: Server): Promise<string[]>;
/** Deletes an interrupted upload. @param {Omit<Partial<Entry>, 'sent'>} entry @param {Server} [server] */
export declare function discard({ id, videoId, uploadId, key }: Omit<Partial<Entry>, 'sent'>, server?: Server): Promise<void>;
/** Whether a video is PROCESSED or FAILED and, with `renditions`, is not being transcoded to HLS.
 * @param {Pick<Video, 'status' | 'transcode'>} video @param {boolean} [renditions] */
export declare const isDone: ({ status, transcode }: Pick<Video, 'status' | 'transcode'>, renditions?: boolean) => boolean;
/** Follows a video until it is PROCESSED or FAILED, and returns the video that the last `onChange` received. All videos
 * that are followed on a server share one poller, which stops while the page is hidden. More than three videos are
 * read from the list of videos, where they have no `url`. With `renditions`, also waits for a running HLS transcoding
 * to end.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: Video) => void, onRetry?: (error: UpreelError) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export declare function follow(videoId: string, { renditions, onChange, onRetry, signal, ...server }?: Server & {
    renditions?: boolean;
    onChange?: (video: Video) => void;
    onRetry?: (error: UpreelError) => void;
    signal?: AbortSignal;
}): Promise<Video>;
/** Waits until a video is PROCESSED or FAILED, and returns it, with the URL that plays it. See `follow`.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: Video) => void, onRetry?: (error: UpreelError) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export declare function watch(videoId: string, options?: Server & {
    renditions?: boolean;
    onChange?: (video: Video) => void;
    onRetry?: (error: UpreelError) => void;
    signal?: AbortSignal;
}): Promise<Video>;
/** Returns one video. @param {string} videoId @param {Server & {signal?: AbortSignal}} [options] @returns {Promise<Video>} */
export declare const get: (videoId: string, { signal, ...server }?: Server & {
    signal?: AbortSignal;
}) => Promise<Video>;
/** Returns a page of videos, newest first: all of them, or those whose title begins with `title` and that have `tag`. A page
 * of a search can have few videos, or none, and a cursor.
 * @param {Server & {limit?: number, cursor?: string, title?: string, tag?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videos: Video[], cursor?: string}>} */
export declare function list({ limit, cursor, title, tag, signal, ...server }?: Server & {
    limit?: number;
    cursor?: string;
    title?: string;
    tag?: string;
    signal?: AbortSignal;
}): Promise<{
    videos: Video[];
    cursor?: string;
}>;
/** Has the server fetch a video from an https URL, and returns its identifier; `watch` tells when it is processed. With an
 * `idempotencyKey`, a repetition returns the same video.
 * @param {string} url @param {Change & {name?: string, type?: string}} [details]
 * @param {Server & {idempotencyKey?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string, status: Video['status']}>} */
export declare function importUrl(url: string, details?: Change & {
    name?: string;
    type?: string;
}, { idempotencyKey, signal, ...server }?: Server & {
    idempotencyKey?: string;
    signal?: AbortSignal;
}): Promise<{
    videoId: string;
    status: Video['status'];
}>;
/** Returns what the user has stored, and may store.
 * @param {Server & {signal?: AbortSignal}} [options] @returns {Promise<Usage>} */
export declare const usage: ({ signal, ...server }?: Server & {
    signal?: AbortSignal;
}) => Promise<Usage>;
/** Changes what the user says about a video, and returns the video. With `ifMatch`, the `ETag` of a response with the video,
 * it rejects with PRECONDITION_FAILED if somebody else has changed it since.
 * @param {string} videoId @param {Change} change
 * @param {Server & {ifMatch?: string, signal?: AbortSignal}} [options] @returns {Promise<Video>} */
export declare function update(videoId: string, change: Change, { ifMatch, signal, ...server }?: Server & {
    ifMatch?: string;
    signal?: AbortSignal;
}): Promise<Video>;
/** Adds or replaces the captions of a video in a language, from a WebVTT or SubRip file, and returns the video.
 * @param {string} videoId @param {string} language language tag (BCP 47), such as `pt-BR` @param {Blob | string} file
 * @param {Server & {label?: string, kind?: Captions['kind'], signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export declare function putCaptions(videoId: string, language: string, file: Blob | string, { label, kind, signal, ...server }?: Server & {
    label?: string;
    kind?: Captions['kind'];
    signal?: AbortSignal;
}): Promise<Video>;
/** Removes the captions of a video in a language. Succeeds if there are none.
 * @param {string} videoId @param {string} language @param {Server} [server] */
export declare function removeCaptions(videoId: string, language: string, server?: Server): Promise<void>;
/** Makes the frame at a time in seconds the poster of a processed video.
 * @param {string} videoId @param {number} time @param {Server & {signal?: AbortSignal}} [options] */
export declare function choosePoster(videoId: string, time: number, { signal, ...server }?: Server & {
    signal?: AbortSignal;
}): Promise<void>;
/** Deletes a video. Succeeds if it does not exist. @param {string} videoId @param {Server} [server] */
export declare function remove(videoId: string, server?: Server): Promise<void>;
/** Returns the part size for a file: a fortieth of it, so that little is sent again after a lost connection, but 5 to
 * 8 MiB, or more if that would take over 10,000 parts. @param {number} size */
export declare const partSizeOf: (size: number) => number;
/** Returns how many parts of a file are sent at the same time. From 55 MiB on, they are less than a tenth of the file,
 * because a lost connection discards them. @param {number} size @param {number} [partSize] */
export declare const transfersOf: (size: number, partSize?: number) => number;
/** Splits a file into parts. @param {number} size @param {number} [partSize]
 * @returns {{number: number, start: number, end: number}[]} */
export declare function planParts(size: number, partSize?: number): {
    number: number;
    start: number;
    end: number;
}[];
/** Returns the delay before the next attempt in milliseconds: exponential up to 30 s, with 50 % jitter.
 * @param {number} attempt @param {number} [random] */
export declare const backOff: (attempt: number, random?: number) => number;
/** Identifies a file without reading it. @param {Pick<File, 'name' | 'size' | 'lastModified' | 'type'>} file */
export declare const fingerprint: ({ name, size, lastModified, type }: Pick<File, 'name' | 'size' | 'lastModified' | 'type'>) => string;
/** Returns why a file that begins with these bytes is not a supported video, as a sentence for users. Returns undefined
 * for a supported one, with `audio` also for audio alone. @param {Uint8Array} head @param {boolean} [audio] */
export declare function refusal(head: Uint8Array, audio?: boolean): string | undefined;
export type StoredSession = Session & {
    name: string;
    size: number;
    type: string;
    lastModified: number;
    at: number;
};
