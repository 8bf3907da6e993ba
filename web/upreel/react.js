// A React hook that uploads a video to Upreel and follows it until it is processed. Licence: Apache-2.0.
//
//   const { start, progress, video, error, pause, resume, cancel } = useUpload({ api });

import { useCallback, useMemo, useRef, useState } from 'react';
import { Upload, watch } from './upreel.js';

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
export function useUpload(options = {}) {
  const [state, setState] = useState(/** @type {UploadState} */ ({}));
  const latest = useRef(options);
  latest.current = options;
  const current = useRef(/** @type {{job: Upload, abort: AbortController} | undefined} */ (undefined));

  const run = useCallback(async (/** @type {{job: Upload, abort: AbortController}} */ upload) => {
    // Reports of an earlier upload are not shown.
    const update = (/** @type {UploadState} */ change) => {
      if (current.current === upload) setState((before) => ({ ...before, ...change }));
    };
    try {
      const { videoId } = await upload.job.start();
      update({ videoId });
      const onChange = (/** @type {Video} */ video) => update({ video });
      const video = await watch(videoId, { ...latest.current, onChange, signal: upload.abort.signal });
      update({ video });
      return video;
    } catch (error) {
      if (upload.job.state !== 'cancelled' && !upload.abort.signal.aborted) update({ error });
      return undefined;
    }
  }, []);

  const actions = useMemo(() => ({
    start: (/** @type {File} */ file) => {
      const { renditions, ...server } = latest.current;
      const onProgress = (/** @type {Progress} */ progress) => {
        if (current.current?.job === job) setState((before) => ({ ...before, progress }));
      };
      const job = new Upload(file, { ...server, onProgress });
      current.current = { job, abort: new AbortController() };
      setState({ file });
      return run(current.current);
    },
    retry: () => {
      setState(({ file, progress }) => ({ file, progress }));
      if (current.current) run(current.current);
    },
    pause: () => current.current?.job.pause(),
    resume: () => current.current?.job.resume(),
    cancel: () => {
      current.current?.abort.abort();
      current.current?.job.cancel();
      current.current = undefined;
      setState({});
    },
  }), [run]);
  return { ...state, ...actions };
}
