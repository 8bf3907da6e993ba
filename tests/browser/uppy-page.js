// The page of the Uppy tests, with the packages of either version: a file chooser, and an Uppy without a face.

/** Gives the page `start(options)`, after which a file that is chosen goes up. */
export function offer({Uppy, AwsS3, GoldenRetriever, XHRUpload}) {
  const input = document.createElement('input');
  input.type = 'file';
  document.body.append(input);

  window.start = ({way, api, retriever, fields, ...options}) => {
    // What was restored waits for the user's word, `restore-confirmed`.
    const uppy = new Uppy({autoProceed: !retriever});
    if (retriever) uppy.use(GoldenRetriever, retriever);
    const ways = {
      'companion 5': () => uppy.use(AwsS3, {endpoint: api, ...options}),
      'companion 6': () => uppy.use(AwsS3, {companionEndpoint: api, ...options}),
      // As examples/uppy has it, where an Uppy with a face is tested.
      signRequest: () => uppy.use(AwsS3, {signRequest, generateObjectKey: (file) => file.id, ...options}),
      xhr: () => uppy.use(XHRUpload, {endpoint: `${api}/upload`, onAfterResponse, shouldRetry, ...options}),
    };
    ways[way]();

    async function signRequest(request) {
      const {name, size} = uppy.getFile(request.key) ?? {};
      const wish = {...request, name, size, fields};
      const answer = await fetch(`${api}/presign`, {method: 'POST', body: JSON.stringify(wish)});
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.message);
      return body;
    }
    function onAfterResponse(xhr) {
      if (xhr.status >= 400) throw new Error(JSON.parse(xhr.responseText).message);
    }

    function shouldRetry({status}) {
      return status === 0 || status >= 500;
    }

    // What the tests look at.
    Object.assign(window, {uppy, parts: [], outcome: undefined, notices: [], upload: undefined});
    uppy.on('s3-multipart:part-uploaded', (file, {PartNumber}) => {
      const {key, uploadId} = uppy.getFile(file.id).s3Multipart ?? {}; // none of a file in one piece
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
