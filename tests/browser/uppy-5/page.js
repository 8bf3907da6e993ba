import Uppy from '@uppy/core';
import AwsS3 from '@uppy/aws-s3';
import GoldenRetriever from '@uppy/golden-retriever';
import XHRUpload from '@uppy/xhr-upload';
import {defineStart} from '../uppy-page.js';

defineStart({Uppy, AwsS3, GoldenRetriever, XHRUpload});
