import Uppy from '@uppy/core';
import AwsS3 from '@uppy/aws-s3';
import GoldenRetriever from '@uppy/golden-retriever';
import XHRUpload from '@uppy/xhr-upload';
import {offer} from '../uppy-page.js';

offer({Uppy, AwsS3, GoldenRetriever, XHRUpload});
