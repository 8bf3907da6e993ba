// The page of the Uppy tests for both versions: a file input, and an Uppy without a user interface.

/** Defines `start(options)` in the page. After that call, choosing a file uploads it. */
export function defineStart({Uppy, AwsS3, GoldenRetriever, XHRUpload}) {
  const input = document.createElement('input');
  input.type = 'file';
  document.body.append(input);

  window.start = ({plugin, api, retriever, fields, ...options}) => {
    // Restored uploads must not start before the user confirms them (`restore-confirmed`).
    const uppy = new Uppy({autoProceed: !retriever});
    if (retriever) uppy.use(GoldenRetriever, retriever);
    const plugins = {
      'companion 5': () => uppy.use(AwsS3, {endpoint: api, ...options}),
      'companion 6': () => uppy.use(AwsS3, {companionEndpoint: api, ...options}),
      // As in examples/uppy, whose test covers the user interface.
      signRequest: () => uppy.use(AwsS3, {signRequest, generateObjectKey: (file) => file.id, ...options}),
      xhr: () => uppy.use(XHRUpload, {endpoint: `${api}/upload`, onAfterResponse, shouldRetry, ...options}),
    };
    plugins[plugin]();

    async function signRequest(request) {
      const {name, size} = uppy.getFile(request.key) ?? {};
      const query = {...request, name, size, fields};
      const response = await fetch(`${api}/presign`, {method: 'POST', body: JSON.stringify(query)});
      const body = await response.json();
      if (!response.ok) throw new Error(body.message);
      return body;
    }
    function onAfterResponse(xhr) {
      if (xhr.status >= 400) throw new Error(JSON.parse(xhr.responseText).message);
    }

    function shouldRetry({status}) {
      return status === 0 || status >= 500;
    }

    // State that the tests read.
    Object.assign(window, {uppy, parts: [], outcome: undefined, notices: [], upload: undefined});
    uppy.on('s3-multipart:part-uploaded', (file, {PartNumber}) => {
      const {key, uploadId} = uppy.getFile(file.id).s3Multipart ?? {}; // undefined for a single PUT or POST
      window.upload = {key, uploadId};
      window.parts.push(PartNumber);
    });
    uppy.on('info-visible', () => window.notices.push(...uppy.getState().info));
    uppy.on('upload', () => (window.outcome = undefined));
    uppy.on('complete', ({successful, failed}) => {
      window.outcome = {
        successful: successful.map(({response}) => response.body),
        failed: failed.map(({error}) => error),
      };
    });
    input.onchange = () => uppy.addFile({name: input.files[0].name, type: input.files[0].type, data: input.files[0]});
  };
}
