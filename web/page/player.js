// Plays a video by HLS if it can be played so, otherwise the file of the original. The controls are those of media-chrome.
// The seek bar shows tiles of the storyboard.

import { Tracks } from './captions.js';
import { Preparation, incomplete, labelOf, masterUrl, nameOf } from './renditions.js';

const HLS = 'application/vnd.apple.mpegurl';
const SEEK_STEP = 5; // seconds per arrow key press; media-chrome's keys j and l seek twice as far
const VOLUME_STEP = 0.05;
/** A second failure this close to the previous one counts as permanent. */
const RETRY_DISTANCE = 10; // seconds

// The level `source` is the original, see `remux::folder` in crates/media.
function qualityName({ uri, width, height }) {
  const size = `${Math.min(width, height)}p`;
  if (!height) return 'Original';
  return /\/source\/[^/]+$/.test(new URL(uri).pathname) ? `Original · ${size}` : size;
}

/** Loads hls.js. Returns an empty module if that fails. */
export const loadHls = () => import('/vendor/hls.min.mjs').catch(() => ({}));

/**
 * The levels of hls.js, and after them the renditions that are not encoded yet, in the form in which media-chrome expects
 * the renditions of a media element.
 */
class Renditions extends Array {
  #events = new EventTarget();

  /** Shows the levels of `hls` and the renditions `missing` from them, or none. */
  show(hls, missing = []) {
    this.hls = hls;
    const levels = (hls?.levels ?? []).map((level, i) => {
      const { width, height, bitrate } = level;
      return { id: String(i), width, height, bitrate, name: qualityName(level), playing: i === hls.currentLevel };
    });
    const offers = missing.map((rendition) => (
      { id: rendition.name, height: Number(rendition.name.slice(1)), name: labelOf(rendition) }));
    this.splice(0, this.length, ...levels, ...offers);
    this.#events.dispatchEvent(new Event('addrendition'));
  }

  /** The level that the user has chosen; -1 if it is chosen automatically. */
  get selectedIndex() { return this.hls?.manualLevel ?? -1; }

  set selectedIndex(i) {
    this.choose(i);
    this.#events.dispatchEvent(new Event('change'));
  }

  /** The text of the automatic choice, with the level that it has chosen. */
  get auto() {
    const { name } = this.find(({ playing }) => playing) ?? {};
    return this.selectedIndex < 0 && name ? `Auto (${name})` : 'Auto';
  }

  addEventListener(...args) { this.#events.addEventListener(...args); }

  removeEventListener(...args) { this.#events.removeEventListener(...args); }
}

export class Player {
  constructor(dialog, { formatName, showDetails, onClose }) {
    Object.assign(this, { dialog, formatName, showDetails, renditions: new Renditions() });
    const find = (selector) => dialog.querySelector(selector);
    this.film = find('.film');
    this.video = find('video');
    this.controls = find('.controls');
    this.seekBar = find('media-time-range');
    this.unplayable = find('.unplayable');
    this.retry = find('.unplayable button');
    this.useFrame = find('.use-frame');
    this.status = find('.status');
    const { film, video, seekBar, renditions } = this;

    this.tracks = new Tracks(video);
    video.videoRenditions = renditions;
    renditions.choose = (i) => this.choose(i);
    Object.assign(find('media-rendition-menu'), {
      formatRendition: ({ name }) => name,
      // Of the items without a rendition: the automatic choice.
      formatMenuItemText: () => renditions.auto,
    });
    video.addEventListener('loadeddata', () => this.loadControls());

    dialog.addEventListener('close', () => {
      if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
      this.record = undefined;
      this.preparation?.cancel();
      this.unload();
      this.tracks.show([]);
      onClose();
    });
    // A click on the backdrop has the dialog itself as its target.
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    film.addEventListener('keydown', (event) => this.key(event));
    film.addEventListener('mediapreviewtime', ({ detail }) => this.paint('preview', detail));
    seekBar.addEventListener('focusin', () => this.paint('current', video.currentTime));
    this.retry.addEventListener('click', () => {
      this.failedAt = undefined;
      this.start(this.startAt);
      find('media-play-button').focus();
    });
    this.useFrame.addEventListener('click', () => this.usePoster());
    video.addEventListener('timeupdate', () => this.paint('current', video.currentTime));
    video.addEventListener('error', () => this.recover());
    // What is loaded next plays at the same speed.
    video.addEventListener('ratechange', () => { video.defaultPlaybackRate = video.playbackRate; });
    video.addEventListener('loadedmetadata', () => {
      // The browser decodes only the audio: it lacks the video codec.
      if (!video.videoWidth && !this.hls && !this.isAudio) this.showUnplayable();
    });
  }

  // Defines the elements of the controls, which takes more than 100 ms: for a linked video, after its first frame.
  loadControls() {
    // They look for the list of renditions when they are defined.
    this.defined ??= import('/vendor/media-chrome.min.mjs').then(() => {
      this.dialog.querySelector('media-volume-range').range.step = VOLUME_STEP;
    }, () => { this.video.controls = true; });
  }

  open({ video, name, details, at, storyboard, renew, choosePoster }) {
    Object.assign(this, {
      record: video, renew, choosePoster, storyboard, original: !video.hlsUrl, failedAt: undefined,
    });
    this.status.textContent = '';
    this.dialog.querySelector('h2').textContent = name;
    this.showDetails(this.dialog.querySelector('.details'), details);
    this.dialog.querySelector('.download').href = video.downloadUrl;
    this.video.poster = video.thumbnailLargeUrl ?? video.thumbnailUrl ?? '';
    // There is nothing to see behind the controls.
    this.film.setAttribute('autohide', this.isAudio ? -1 : 3);
    this.dialog.querySelector('media-pip-button').hidden = this.isAudio;
    this.video.style.aspectRatio = video.width && video.height ? `${video.width} / ${video.height}` : '';
    this.video.defaultPlaybackRate = 1;
    this.tracks.show(video.captions ?? [], renew);
    this.dialog.showModal();
    // Shows the controls for a while, as when the pointer moves.
    this.film.dispatchEvent(new PointerEvent('pointermove', { pointerType: 'mouse' }));
    this.start(at);
    if (video.storyboardUrl) storyboard.ready();
  }

  // Whether there are no frames, but the poster.
  get isAudio() { return this.record?.kind === 'AUDIO'; }

  get position() { return this.video.currentTime || this.startAt; }

  // Plays the level with this number, or chooses one automatically (-1), or has a rendition encoded, which follows the levels
  // in the list.
  choose(i) {
    this.preparation?.cancel();
    const level = this.hls.levels[i];
    const name = level ? nameOf(level) : this.renditions[i]?.id;
    if (level || i < 0) this.hls.nextLevel = i;
    const isIncomplete = incomplete(this.record).some((rendition) => rendition.name === name);
    this.preparation = isIncomplete ? new Preparation(this, name) : undefined;
    this.updateRenditions();
  }

  updateRenditions() {
    const { hls, record, preparation } = this;
    if (!hls) return;
    const missing = incomplete(record).filter(({ name }) => !hls.levels.some((level) => nameOf(level) === name));
    this.renditions.show(hls, missing.map((rendition) => (
      rendition.name === preparation?.name ? { ...rendition, status: 'RUNNING' } : rendition)));
  }

  // Loads the HLS levels or the file of the original, at a position in seconds. `name` is that of the rendition to play.
  async start(at, paused = false, name = undefined) {
    this.unload();
    const { record, video } = this;
    this.startAt = at;
    if (!this.original && (window.MediaSource ?? window.ManagedMediaSource)) {
      const { default: Hls } = await loadHls();
      // The player was closed or opened another video in the meantime.
      if (this.record !== record) return;
      if (Hls?.isSupported()) {
        this.stream(Hls, at, paused, name);
        return;
      }
    }
    this.original ||= !video.canPlayType(HLS);
    const url = this.original ? record.url : record.hlsUrl;
    // Segments come from another origin than the playlists. Chromium plays them only if CORS is requested.
    video.crossOrigin = this.original ? null : 'anonymous';
    // The media fragment starts playback at `at` without showing the first frame.
    video.src = at ? `${url}#t=${at}` : url;
    this.startPlayback(paused);
  }

  // Plays a rendition that has become a level, from the present position on.
  reload(name) {
    this.start(this.position, this.video.paused, name);
  }

  stream(Hls, startPosition, paused, name) {
    const { MANIFEST_PARSED, MEDIA_ATTACHED, LEVEL_SWITCHED, ERROR } = Hls.Events;
    const { MEDIA_ERROR } = Hls.ErrorTypes;
    // A gap must not end playback, whatever the size of the other levels. The captions are those of `tracks`.
    const hls = new Hls({
      startPosition,
      capLevelToPlayerSize: !name,
      subtitleStreamController: undefined,
      subtitleTrackController: undefined,
      timelineController: undefined,
    });
    hls.on(MEDIA_ATTACHED, () => this.startPlayback(paused));
    hls.on(MANIFEST_PARSED, (_, { levels }) => {
      const chosen = levels.findIndex((level) => nameOf(level) === name);
      if (chosen >= 0) hls.loadLevel = chosen;
      this.updateRenditions();
    });
    hls.on(LEVEL_SWITCHED, () => this.updateRenditions());
    hls.on(ERROR, (_, { fatal, type, response }) => {
      // hls.js would repeat a request that the server refuses.
      if (!fatal && !(response?.code >= 400 && response.code < 500)) return;
      // What the browser cannot decode or append as segments, it may still play as a file.
      if (type === MEDIA_ERROR) this.failedAt = this.position;
      this.recover();
    });
    this.hls = hls;
    hls.loadSource(name ? masterUrl(this.record) : this.record.hlsUrl);
    hls.attachMedia(this.video);
  }

  startPlayback(paused) {
    this.loaded = true;
    // Where autoplay is blocked, the user presses the button.
    if (!paused) this.video.play().catch(() => this.loadControls());
  }

  unload() {
    this.loaded = false;
    this.hls?.destroy();
    this.hls = undefined;
    this.renditions.show();
    this.video.removeAttribute('src');
    this.video.load();
    this.setMessage();
  }

  // Makes the frame that is shown the poster. What the browser cannot show, nobody can choose.
  async usePoster() {
    const { record, position } = this;
    const report = (text) => { if (this.record?.videoId === record.videoId) this.status.textContent = text; };
    report('Changing the poster…');
    try {
      await this.choosePoster(position ?? 0);
      report('This frame is the poster.');
    } catch (error) {
      report(`Could not change the poster. ${error.message}`);
    }
  }

  // Handles a playback error. Signed URLs expire during a pause or a long video, so the first failure loads new ones. A
  // second failure at the same position falls back from HLS to the file of the original, and from that to a message.
  async recover() {
    if (!this.hls && !this.loaded) return;
    const { record } = this;
    // A video that never started is paused too, but must start after the retry.
    const paused = this.video.paused && this.video.played.length > 0;
    const at = this.position;
    const repeated = Math.abs(at - this.failedAt) < RETRY_DISTANCE;
    this.unload();
    this.failedAt = at;
    if (repeated) {
      if (this.original) {
        this.showUnplayable();
        return;
      }
      this.original = true;
      this.failedAt = undefined;
    } else {
      try {
        const renewed = await this.renew();
        if (this.record !== record) return;
        this.record = renewed;
        this.original ||= !renewed.hlsUrl;
      } catch (error) {
        if (this.record !== record) return;
        if (error.status === 404) this.showUnplayable('This video has been deleted.');
        else this.showUnplayable(error.message, at);
        return;
      }
    }
    this.start(at, paused);
  }

  formatMessage() {
    const format = this.formatName(this.record);
    return `This browser cannot play ${format}. Download the original to play it in another program.`;
  }

  // Shows why the video cannot be played. With `at`, the user can retry from there.
  showUnplayable(why = this.formatMessage(), at = undefined) {
    this.unload();
    this.startAt = at;
    this.retry.hidden = at === undefined;
    this.setMessage(why);
  }

  // Shows a message in place of the controls, or the controls. The key handler of media-chrome would take the space bar
  // from the button beside the message.
  setMessage(why) {
    this.unplayable.querySelector('p').textContent = why ?? '';
    this.unplayable.hidden = !why;
    this.controls.inert = Boolean(why);
    this.useFrame.hidden = Boolean(why) || this.isAudio;
    this.film.toggleAttribute('nohotkeys', Boolean(why));
  }

  // The usual keys of players that media-chrome lacks. Menus and the volume keep their own.
  key(event) {
    const { key, target, altKey, ctrlKey, metaKey } = event;
    if (altKey || ctrlKey || metaKey || this.controls.inert || target.matches('[role="menu"], media-volume-range')) return;
    const { currentTime, duration, seekable } = this.video;
    const steps = { ArrowLeft: currentTime - SEEK_STEP, ArrowRight: currentTime + SEEK_STEP, Home: 0, End: duration };
    const to = /^[0-9]$/.test(key) ? (duration * Number(key)) / 10 : steps[key];
    if (to === undefined) return;
    event.preventDefault();
    if (seekable.length) this.video.currentTime = Math.min(duration, Math.max(0, to));
  }

  // Draws the storyboard tile of a time above the pointer or the thumb of the seek bar.
  paint(slot, at) {
    const canvas = this.seekBar.querySelector(`canvas[slot="${slot}"]`);
    canvas.hidden = !this.storyboard?.tiles;
    if (!canvas.hidden && at !== undefined) this.storyboard.paint(canvas, at);
  }
}
