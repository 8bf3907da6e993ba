// Plays a video by HLS if it can be played so, otherwise the file of the original. The seek bar shows tiles of the
// storyboard.

const HLS = 'application/vnd.apple.mpegurl';
const SEEK_STEP = 5; // seconds per arrow key press; the keys j and l seek twice as far
const VOLUME_STEP = 0.05;
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
/** A second failure this close to the previous one counts as permanent. */
const RETRY_DISTANCE = 10; // seconds
/** Time without input after which the controls are hidden in full screen. */
const IDLE_TIMEOUT = 3000; // milliseconds

// The level `source` is the original, see `remux::folder` in crates/media.
function qualityName({ uri, width, height }) {
  const size = `${Math.min(width, height)}p`;
  return /\/source\/[^/]+$/.test(new URL(uri).pathname) ? `Original · ${size}` : size;
}

/** Loads hls.js. Returns an empty module if that fails. */
export const loadHls = () => import('/vendor/hls.min.mjs').catch(() => ({}));

export class Player {
  constructor(dialog, { clock, formatName, showDetails, onClose }) {
    Object.assign(this, { dialog, clock, formatName, showDetails });
    const find = (selector) => dialog.querySelector(selector);
    this.film = find('.film');
    this.video = find('video');
    this.controls = find('.controls');
    this.seekBar = find('.seek');
    this.preview = find('.seek-preview');
    this.quality = find('.quality');
    this.speed = find('.speed');
    this.captions = find('.captions');
    this.volume = find('.volume');
    this.unplayable = find('.unplayable');
    this.buttons = Object.fromEntries([...dialog.querySelectorAll('[data-act]')].map((el) => [el.dataset.act, el]));
    for (const [act, el] of Object.entries(this.buttons)) el.addEventListener('click', () => this[act]());
    this.buttons.fullscreen.hidden = !this.film.requestFullscreen && !this.video.webkitEnterFullscreen;

    this.buttons.pip.hidden = !document.pictureInPictureEnabled;
    this.speed.append(...SPEEDS.map((speed) => new Option(`${speed} ×`, speed)));

    dialog.addEventListener('close', () => {
      if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
      this.record = undefined;
      this.unload();
      onClose();
    });
    // A click on the backdrop has the dialog itself as its target.
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    this.film.addEventListener('keydown', (event) => this.key(event));

    const { video, seekBar, quality, volume, speed, captions } = this;
    const on = (el, types, act) => { for (const type of types) el.addEventListener(type, act); };
    on(this.film, ['pointermove', 'pointerdown', 'keydown'], () => this.showControls());
    on(video, ['click'], () => this.toggle());
    on(video, ['error'], () => this.recover());
    on(video, ['play', 'pause', 'volumechange', 'ratechange'], () => this.updateButtons());
    on(video.textTracks, ['addtrack', 'removetrack', 'change'], () => this.updateCaptions());
    on(speed, ['change'], () => { video.playbackRate = Number(speed.value); });
    on(captions, ['change'], () => this.showCaptions(Number(captions.value)));
    on(video, ['timeupdate', 'durationchange', 'progress', 'seeking'], () => this.updateProgress());
    on(video, ['waiting', 'seeking'], () => this.film.classList.add('waiting'));
    on(video, ['playing', 'seeked', 'canplay'], () => this.film.classList.remove('waiting'));
    on(video, ['loadedmetadata'], () => {
      // The browser decodes only the audio: it lacks the video codec.
      if (!video.videoWidth && !this.hls) this.showUnplayable();
    });
    // A drag that ends where it began fires no `change`, hence `pointerup`.
    on(seekBar, ['input', 'change', 'pointerup'], ({ type }) => {
      this.dragging = type === 'input';
      const to = Number(seekBar.value);
      if (this.dragging) this.showPreview(to);
      // During a drag, seek only when the previous seek has finished.
      if (!this.dragging || !video.seeking) this.seek(to);
    });
    on(seekBar, ['pointermove'], ({ offsetX }) => this.showPreview(this.timeAt(offsetX)));
    on(seekBar, ['focus'], () => { if (seekBar.matches(':focus-visible')) this.showPreview(video.currentTime); });
    on(seekBar, ['pointerleave', 'blur'], () => { this.preview.hidden = true; });
    on(quality, ['change'], () => {
      this.hls.nextLevel = Number(quality.value);
      this.updateQuality();
    });
    on(volume, ['input'], () => Object.assign(video, { volume: volume.value, muted: false }));
  }

  async open({ video, name, details, at, storyboard, renew }) {
    Object.assign(this, { record: video, renew, storyboard, original: !video.hlsUrl, failedAt: undefined });
    this.dialog.querySelector('h2').textContent = name;
    this.showDetails(this.dialog.querySelector('.details'), details);
    this.dialog.querySelector('.download').href = video.downloadUrl;
    this.video.poster = video.thumbnailLargeUrl ?? video.thumbnailUrl ?? '';
    this.video.style.aspectRatio = video.width && video.height ? `${video.width} / ${video.height}` : '';
    this.preview.firstElementChild.hidden = true;
    this.dialog.showModal();
    this.showControls();
    this.start(at);
    const tiles = video.storyboardUrl && await storyboard.ready();
    if (this.storyboard === storyboard) this.preview.firstElementChild.hidden = !tiles;
  }

  get duration() {
    const { duration } = this.video;
    return Number.isFinite(duration) ? duration : (this.record?.durationMs ?? 0) / 1000;
  }

  get position() { return this.video.currentTime || this.startAt; }

  /* Playback */

  // Loads the HLS levels or the file of the original, at a position in seconds.
  async start(at, paused = false) {
    this.unload();
    const { record, video } = this;
    this.startAt = at;
    if (!this.original && (window.MediaSource ?? window.ManagedMediaSource)) {
      const { default: Hls } = await loadHls();
      // The player was closed or opened another video in the meantime.
      if (this.record !== record) return;
      if (Hls?.isSupported()) {
        this.stream(Hls, at, paused);
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

  stream(Hls, startPosition, paused) {
    const { MANIFEST_PARSED, MEDIA_ATTACHED, LEVEL_SWITCHED, ERROR } = Hls.Events;
    const { MEDIA_ERROR } = Hls.ErrorTypes;
    const { quality } = this;
    const hls = new Hls({ startPosition, capLevelToPlayerSize: true });
    hls.on(MEDIA_ATTACHED, () => this.startPlayback(paused));
    hls.on(MANIFEST_PARSED, (_, { levels }) => {
      const options = levels.map((level, i) => new Option(qualityName(level), i)).reverse();
      // The menu also shows which level plays if there is only one.
      quality.replaceChildren(...levels.length > 1 ? [new Option('Auto', -1)] : [], ...options);
      quality.hidden = false;
    });
    hls.on(LEVEL_SWITCHED, () => this.updateQuality());
    hls.on(ERROR, (_, { fatal, type, response }) => {
      // hls.js would repeat a request that the server refuses.
      if (!fatal && !(response?.code >= 400 && response.code < 500)) return;
      // What the browser cannot decode or append as segments, it may still play as a file.
      if (type === MEDIA_ERROR) this.failedAt = this.position;
      this.recover();
    });
    this.hls = hls;
    hls.loadSource(this.record.hlsUrl);
    hls.attachMedia(this.video);
  }

  startPlayback(paused) {
    this.loaded = true;
    // Where autoplay is blocked, the user presses the button.
    if (!paused) this.video.play().catch(() => {});
  }

  unload() {
    this.loaded = this.dragging = false;
    this.hls?.destroy();
    this.hls = undefined;
    this.video.removeAttribute('src');
    this.video.load();
    this.quality.hidden = this.unplayable.hidden = this.preview.hidden = true;
    this.controls.inert = false;
    this.film.classList.remove('waiting');
    this.updateButtons();
    this.updateProgress();
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
  showUnplayable(why = this.formatMessage(), at) {
    this.unload();
    this.startAt = at;
    this.unplayable.querySelector('p').textContent = why;
    this.buttons.retry.hidden = at === undefined;
    this.unplayable.hidden = false;
    this.controls.inert = true;
  }

  /* The controls */

  retry() {
    this.failedAt = undefined;
    this.start(this.startAt);
    this.buttons.toggle.focus();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  mute() { this.video.muted = !this.video.muted; }

  pip() {
    if (document.pictureInPictureElement) document.exitPictureInPicture();
    else this.video.requestPictureInPicture?.().catch(() => {});
  }

  // Shows the captions with this number, or none.
  showCaptions(chosen) {
    [...this.video.textTracks].forEach((track, i) => { track.mode = i === chosen ? 'showing' : 'disabled'; });
  }

  // iPhones support full screen only for the video element itself.
  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.film.requestFullscreen) this.film.requestFullscreen();
    else this.video.webkitEnterFullscreen();
  }

  // The usual keys of players. Menus and the volume keep their own.
  key(event) {
    const { key, target, altKey, ctrlKey, metaKey } = event;
    if (altKey || ctrlKey || metaKey || this.controls.inert || target.matches('select, .volume')) return;
    const { video, duration } = this;
    const speed = (step) => SPEEDS[SPEEDS.indexOf(video.playbackRate) + step] ?? video.playbackRate;
    const volume = (step) => Object.assign(video, { volume: Math.min(1, Math.max(0, video.volume + step)), muted: false });
    const acts = {
      ArrowRight: () => this.seek(video.currentTime + SEEK_STEP),
      ArrowLeft: () => this.seek(video.currentTime - SEEK_STEP),
      l: () => this.seek(video.currentTime + 2 * SEEK_STEP),
      j: () => this.seek(video.currentTime - 2 * SEEK_STEP),
      Home: () => this.seek(0),
      End: () => this.seek(duration),
      ArrowUp: () => volume(VOLUME_STEP),
      ArrowDown: () => volume(-VOLUME_STEP),
      k: () => this.toggle(),
      m: () => this.mute(),
      f: () => this.fullscreen(),
      i: () => this.pip(),
      c: () => this.showCaptions([...video.textTracks].some(({ mode }) => mode === 'showing') ? -1 : 0),
      '>': () => { video.playbackRate = speed(1); },
      '<': () => { video.playbackRate = speed(-1); },
    };
    let act = acts[key.length === 1 ? key.toLowerCase() : key];
    if (/^[0-9]$/.test(key)) act = () => this.seek((duration * Number(key)) / 10);
    if (key === ' ' && !target.matches('button')) act = () => this.toggle();
    if (!act) return;
    const before = video.currentTime;
    act();
    if (target === this.seekBar && video.currentTime !== before) this.showPreview(video.currentTime);
    event.preventDefault();
  }

  seek(to) {
    if (this.video.seekable.length) this.video.currentTime = Math.min(this.duration, Math.max(0, to));
  }

  // Returns the time at an x offset on the seek bar. Its track starts and ends half a thumb inside the element.
  timeAt(x) {
    const { offsetWidth, offsetHeight } = this.seekBar;
    return this.duration * Math.min(1, Math.max(0, (x - offsetHeight / 2) / (offsetWidth - offsetHeight)));
  }

  // Shows the storyboard tile of a time above the seek bar.
  showPreview(at) {
    const { preview, seekBar: { offsetWidth, offsetHeight } } = this;
    const [canvas, label] = preview.children;
    preview.hidden = false;
    if (!canvas.hidden) this.storyboard.paint(canvas, at);
    label.textContent = this.clock(at * 1000);
    const fraction = this.duration ? at / this.duration : 0;
    const half = preview.offsetWidth / 2;
    const x = offsetHeight / 2 + fraction * (offsetWidth - offsetHeight);
    preview.style.left = `${Math.min(offsetWidth - half, Math.max(half, x))}px`;
  }

  // Updates the position and the buffered range.
  updateProgress() {
    const { video, seekBar, duration } = this;
    const { currentTime, buffered } = video;
    const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
    const [, loaded = currentTime] = ranges.find(([from, to]) => from <= currentTime && currentTime <= to) ?? [];
    seekBar.max = duration;
    if (!this.dragging) seekBar.value = currentTime;
    seekBar.ariaValueText = `${this.clock(currentTime * 1000)} of ${this.clock(duration * 1000)}`;
    seekBar.style.setProperty('--progress', duration ? seekBar.value / duration : 0);
    seekBar.style.setProperty('--loaded', duration ? loaded / duration : 0);
    const time = `${this.clock(currentTime * 1000)} / ${this.clock(duration * 1000)}`;
    this.controls.querySelector('.time').textContent = time;
  }

  // Updates the buttons and the volume.
  updateButtons() {
    const { film, video, buttons, volume } = this;
    const { paused, muted } = video;
    film.classList.toggle('paused', paused);
    film.classList.toggle('muted', muted || video.volume === 0);
    buttons.toggle.ariaLabel = paused ? 'Play' : 'Pause';
    buttons.mute.ariaLabel = muted ? 'Unmute' : 'Mute';
    this.speed.value = video.playbackRate;
    volume.value = muted ? 0 : video.volume;
    volume.style.setProperty('--progress', volume.value);
  }

  // Lists the captions that the video has.
  updateCaptions() {
    const tracks = [...this.video.textTracks];
    this.captions.hidden = !tracks.length;
    const options = tracks.map(({ label, language }, i) => new Option(label || language || `Captions ${i + 1}`, i));
    this.captions.replaceChildren(new Option('No captions', -1), ...options);
    this.captions.value = tracks.findIndex(({ mode }) => mode === 'showing');
  }

  // Shows which quality automatic selection has chosen.
  updateQuality() {
    const { autoLevelEnabled, currentLevel, levels } = this.hls;
    if (levels.length < 2) return;
    const chosen = autoLevelEnabled && levels[currentLevel];
    this.quality.options[0].text = chosen ? `Auto (${qualityName(chosen)})` : 'Auto';
  }

  showControls() {
    this.film.classList.add('awake');
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => this.film.classList.remove('awake'), IDLE_TIMEOUT);
  }
}
