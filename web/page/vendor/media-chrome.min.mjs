/*! media-chrome 4.19.4, MIT licence, see LICENSE.media-chrome */
var Ta=class{addEventListener(){}removeEventListener(){}dispatchEvent(){return!0}},Sa=class extends Ta{},ka=class extends Sa{constructor(){super(...arguments),this.role=null}},nn=class{observe(){}unobserve(){}disconnect(){}},bo={createElement:function(){return new wi.HTMLElement},createElementNS:function(){return new wi.HTMLElement},addEventListener(){},removeEventListener(){},dispatchEvent(t){return!1}},wi={ResizeObserver:nn,document:bo,Node:Sa,Element:ka,HTMLElement:class extends ka{constructor(){super(...arguments),this.innerHTML=""}get content(){return new wi.DocumentFragment}},DocumentFragment:class extends Ta{},customElements:{get:function(){},define:function(){},whenDefined:function(){}},localStorage:{getItem(t){return null},setItem(t,e){},removeItem(t){}},CustomEvent:function(){},getComputedStyle:function(){},navigator:{languages:[],get userAgent(){return""}},matchMedia(t){return{matches:!1,media:t}},DOMParser:class{parseFromString(e,i){return{body:{textContent:e}}}}},Ao="global"in globalThis&&globalThis?.global===globalThis||typeof window>"u"||typeof window.customElements>"u",To=Object.keys(wi).every(t=>t in globalThis),l=Ao&&!To?wi:globalThis,H=Ao&&!To?bo:globalThis.document;var h={MEDIA_PLAY_REQUEST:"mediaplayrequest",MEDIA_PAUSE_REQUEST:"mediapauserequest",MEDIA_MUTE_REQUEST:"mediamuterequest",MEDIA_UNMUTE_REQUEST:"mediaunmuterequest",MEDIA_LOOP_REQUEST:"medialooprequest",MEDIA_VOLUME_REQUEST:"mediavolumerequest",MEDIA_SEEK_REQUEST:"mediaseekrequest",MEDIA_AIRPLAY_REQUEST:"mediaairplayrequest",MEDIA_ENTER_FULLSCREEN_REQUEST:"mediaenterfullscreenrequest",MEDIA_EXIT_FULLSCREEN_REQUEST:"mediaexitfullscreenrequest",MEDIA_PREVIEW_REQUEST:"mediapreviewrequest",MEDIA_ENTER_PIP_REQUEST:"mediaenterpiprequest",MEDIA_EXIT_PIP_REQUEST:"mediaexitpiprequest",MEDIA_ENTER_CAST_REQUEST:"mediaentercastrequest",MEDIA_EXIT_CAST_REQUEST:"mediaexitcastrequest",MEDIA_SHOW_TEXT_TRACKS_REQUEST:"mediashowtexttracksrequest",MEDIA_HIDE_TEXT_TRACKS_REQUEST:"mediahidetexttracksrequest",MEDIA_SHOW_SUBTITLES_REQUEST:"mediashowsubtitlesrequest",MEDIA_DISABLE_SUBTITLES_REQUEST:"mediadisablesubtitlesrequest",MEDIA_TOGGLE_SUBTITLES_REQUEST:"mediatogglesubtitlesrequest",MEDIA_PLAYBACK_RATE_REQUEST:"mediaplaybackraterequest",MEDIA_RENDITION_REQUEST:"mediarenditionrequest",MEDIA_AUDIO_TRACK_REQUEST:"mediaaudiotrackrequest",MEDIA_SEEK_TO_LIVE_REQUEST:"mediaseektoliverequest",REGISTER_MEDIA_STATE_RECEIVER:"registermediastatereceiver",UNREGISTER_MEDIA_STATE_RECEIVER:"unregistermediastatereceiver"},w={MEDIA_CHROME_ATTRIBUTES:"mediachromeattributes",MEDIA_CONTROLLER:"mediacontroller"},sn={MEDIA_AIRPLAY_UNAVAILABLE:"mediaAirplayUnavailable",MEDIA_AUDIO_TRACK_ENABLED:"mediaAudioTrackEnabled",MEDIA_AUDIO_TRACK_LIST:"mediaAudioTrackList",MEDIA_AUDIO_TRACK_UNAVAILABLE:"mediaAudioTrackUnavailable",MEDIA_BUFFERED:"mediaBuffered",MEDIA_CAST_UNAVAILABLE:"mediaCastUnavailable",MEDIA_CHAPTERS_CUES:"mediaChaptersCues",MEDIA_CURRENT_TIME:"mediaCurrentTime",MEDIA_DURATION:"mediaDuration",MEDIA_ENDED:"mediaEnded",MEDIA_ERROR:"mediaError",MEDIA_ERROR_CODE:"mediaErrorCode",MEDIA_ERROR_MESSAGE:"mediaErrorMessage",MEDIA_FULLSCREEN_UNAVAILABLE:"mediaFullscreenUnavailable",MEDIA_HAS_PLAYED:"mediaHasPlayed",MEDIA_HEIGHT:"mediaHeight",MEDIA_IS_AIRPLAYING:"mediaIsAirplaying",MEDIA_IS_CASTING:"mediaIsCasting",MEDIA_IS_FULLSCREEN:"mediaIsFullscreen",MEDIA_IS_PIP:"mediaIsPip",MEDIA_LOADING:"mediaLoading",MEDIA_MUTED:"mediaMuted",MEDIA_LOOP:"mediaLoop",MEDIA_PAUSED:"mediaPaused",MEDIA_PIP_UNAVAILABLE:"mediaPipUnavailable",MEDIA_PLAYBACK_RATE:"mediaPlaybackRate",MEDIA_PREVIEW_CHAPTER:"mediaPreviewChapter",MEDIA_PREVIEW_COORDS:"mediaPreviewCoords",MEDIA_PREVIEW_IMAGE:"mediaPreviewImage",MEDIA_PREVIEW_TIME:"mediaPreviewTime",MEDIA_RENDITION_LIST:"mediaRenditionList",MEDIA_RENDITION_SELECTED:"mediaRenditionSelected",MEDIA_RENDITION_UNAVAILABLE:"mediaRenditionUnavailable",MEDIA_SEEKABLE:"mediaSeekable",MEDIA_STREAM_TYPE:"mediaStreamType",MEDIA_SUBTITLES_LIST:"mediaSubtitlesList",MEDIA_SUBTITLES_SHOWING:"mediaSubtitlesShowing",MEDIA_TARGET_LIVE_WINDOW:"mediaTargetLiveWindow",MEDIA_TIME_IS_LIVE:"mediaTimeIsLive",MEDIA_VOLUME:"mediaVolume",MEDIA_VOLUME_LEVEL:"mediaVolumeLevel",MEDIA_VOLUME_UNAVAILABLE:"mediaVolumeUnavailable",MEDIA_LANG:"mediaLang",MEDIA_WIDTH:"mediaWidth"},So=Object.entries(sn),s=So.reduce((t,[e,i])=>(t[e]=i.toLowerCase(),t),{}),Rd={USER_INACTIVE_CHANGE:"userinactivechange",BREAKPOINTS_CHANGE:"breakpointchange",BREAKPOINTS_COMPUTED:"breakpointscomputed"},Et=So.reduce((t,[e,i])=>(t[e]=i.toLowerCase(),t),{...Rd}),Bu=Object.entries(Et).reduce((t,[e,i])=>{let a=s[e];return a&&(t[i]=a),t},{userinactivechange:"userinactive"}),ko=Object.entries(s).reduce((t,[e,i])=>{let a=Et[e];return a&&(t[i]=a),t},{userinactive:"userinactivechange"}),re={SUBTITLES:"subtitles",CAPTIONS:"captions",DESCRIPTIONS:"descriptions",CHAPTERS:"chapters",METADATA:"metadata"},Xe={DISABLED:"disabled",HIDDEN:"hidden",SHOWING:"showing"};var Ia={MOUSE:"mouse",PEN:"pen",TOUCH:"touch"},ne={UNAVAILABLE:"unavailable",UNSUPPORTED:"unsupported"},oe={LIVE:"live",ON_DEMAND:"on-demand",UNKNOWN:"unknown"};var Io={INLINE:"inline",FULLSCREEN:"fullscreen",PICTURE_IN_PICTURE:"picture-in-picture"};var yo=new WeakMap,on=t=>{let e=yo.get(t);return e||yo.set(t,e=new Set),e},wo=new l.ResizeObserver(t=>{for(let e of t)for(let i of on(e.target))i(e)});function Fe(t,e){on(t).add(e),wo.observe(t)}function $e(t,e){let i=on(t);i.delete(e),i.size||wo.unobserve(t)}function $(t){let e={};for(let i of t)e[i.name]=i.value;return e}function j(t){var e;return(e=ya(t))!=null?e:Ie(t,"media-controller")}function ya(t){var e;let{MEDIA_CONTROLLER:i}=w,a=t.getAttribute(i);if(a)return(e=ft(t))==null?void 0:e.getElementById(a)}var te=(t,e)=>!t||!e?!1:t?.contains(e)?!0:te(t,e.getRootNode().host),Ie=(t,e)=>{if(!t)return null;let i=t.closest(e);return i||Ie(t.getRootNode().host,e)};function Mi(t=document){var e;let i=t?.activeElement;return i?(e=Mi(i.shadowRoot))!=null?e:i:null}function ft(t){var e;let i=(e=t?.getRootNode)==null?void 0:e.call(t);return i instanceof ShadowRoot||i instanceof Document?i:null}function wa(t,{depth:e=3,checkOpacity:i=!0,checkVisibilityCSS:a=!0}={}){if(t.checkVisibility)return t.checkVisibility({checkOpacity:i,checkVisibilityCSS:a});let r=t;for(;r&&e>0;){let n=getComputedStyle(r);if(i&&n.opacity==="0"||a&&n.visibility==="hidden"||n.display==="none")return!1;r=r.parentElement,e--}return!0}function Mo(t,e,i,a){let r=a.x-i.x,n=a.y-i.y,o=r*r+n*n;if(o===0)return 0;let d=((t-i.x)*r+(e-i.y)*n)/o;return Math.max(0,Math.min(1,d))}function O(t,e){let i=Dd(t,a=>a===e);return i||Li(t,e)}function Dd(t,e){var i,a;let r;for(r of(i=t.querySelectorAll("style:not([media])"))!=null?i:[]){let n;try{n=(a=r.sheet)==null?void 0:a.cssRules}catch{continue}for(let o of n??[])if(e(o.selectorText))return o}}function Li(t,e){var i,a;let r=(i=t.querySelectorAll("style:not([media])"))!=null?i:[],n=r?.[r.length-1];if(!n?.sheet)return console.warn("Media Chrome: No style sheet found on style tag of",t),{style:{setProperty:()=>{},removeProperty:()=>"",getPropertyValue:()=>""}};let o=n?.sheet.insertRule(`${e}{}`,n.sheet.cssRules.length);return(a=n.sheet.cssRules)==null?void 0:a[o]}function P(t,e,i=Number.NaN){let a=t.getAttribute(e);return a!=null?+a:i}function N(t,e,i){let a=+i;if(i==null||Number.isNaN(a)){t.hasAttribute(e)&&t.removeAttribute(e);return}P(t,e,void 0)!==a&&t.setAttribute(e,`${a}`)}function T(t,e){return t.hasAttribute(e)}function S(t,e,i){if(i==null){t.hasAttribute(e)&&t.removeAttribute(e);return}T(t,e)!=i&&t.toggleAttribute(e,i)}function R(t,e,i=null){var a;return(a=t.getAttribute(e))!=null?a:i}function L(t,e,i){if(i==null){t.hasAttribute(e)&&t.removeAttribute(e);return}let a=`${i}`;R(t,e,void 0)!==a&&t.setAttribute(e,a)}var Lo=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},ge=(t,e,i)=>(Lo(t,e,"read from private field"),i?i.call(t):e.get(t)),Cd=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Ma=(t,e,i,a)=>(Lo(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),X;function xd(t){return`
    <style>
      :host {
        display: var(--media-control-display, var(--media-gesture-receiver-display, inline-block));
        box-sizing: border-box;
      }
    </style>
  `}var Wt=class extends l.HTMLElement{constructor(){if(super(),Cd(this,X,void 0),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}}static get observedAttributes(){return[w.MEDIA_CONTROLLER,s.MEDIA_PAUSED]}attributeChangedCallback(e,i,a){var r,n,o,d,c;e===w.MEDIA_CONTROLLER&&(i&&((n=(r=ge(this,X))==null?void 0:r.unassociateElement)==null||n.call(r,this),Ma(this,X,null)),a&&this.isConnected&&(Ma(this,X,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=ge(this,X))==null?void 0:d.associateElement)==null||c.call(d,this)))}connectedCallback(){var e,i;this.tabIndex=-1,this.setAttribute("aria-hidden","true"),Ma(this,X,Ud(this)),this.getAttribute(w.MEDIA_CONTROLLER)&&((i=(e=ge(this,X))==null?void 0:e.associateElement)==null||i.call(e,this)),ge(this,X)&&(ge(this,X).addEventListener("pointerdown",this),ge(this,X).addEventListener("click",this),ge(this,X).hasAttribute("tabindex")||(ge(this,X).tabIndex=0))}disconnectedCallback(){var e,i,a,r;this.getAttribute(w.MEDIA_CONTROLLER)&&((i=(e=ge(this,X))==null?void 0:e.unassociateElement)==null||i.call(e,this)),(a=ge(this,X))==null||a.removeEventListener("pointerdown",this),(r=ge(this,X))==null||r.removeEventListener("click",this),Ma(this,X,null)}handleEvent(e){var i;let a=(i=e.composedPath())==null?void 0:i[0];if(["video","media-controller"].includes(a?.localName)){if(e.type==="pointerdown")this._pointerType=e.pointerType;else if(e.type==="click"){let{clientX:n,clientY:o}=e,{left:d,top:c,width:_,height:k}=this.getBoundingClientRect(),A=n-d,f=o-c;if(A<0||f<0||A>_||f>k||_===0&&k===0)return;let m=this._pointerType||"mouse";if(this._pointerType=void 0,m===Ia.TOUCH){this.handleTap(e);return}else if(m===Ia.MOUSE||m===Ia.PEN){this.handleMouseClick(e);return}}}}get mediaPaused(){return T(this,s.MEDIA_PAUSED)}set mediaPaused(e){S(this,s.MEDIA_PAUSED,e)}handleTap(e){}handleMouseClick(e){let i=this.mediaPaused?h.MEDIA_PLAY_REQUEST:h.MEDIA_PAUSE_REQUEST;this.dispatchEvent(new l.CustomEvent(i,{composed:!0,bubbles:!0}))}};X=new WeakMap;Wt.shadowRootOptions={mode:"open"};Wt.getTemplateHTML=xd;function Ud(t){var e;let i=t.getAttribute(w.MEDIA_CONTROLLER);return i?(e=t.getRootNode())==null?void 0:e.getElementById(i):Ie(t,"media-controller")}l.customElements.get("media-gesture-receiver")||l.customElements.define("media-gesture-receiver",Wt);var ln=Wt;var Ro={"Start airplay":"Start airplay","Stop airplay":"Stop airplay",Audio:"Audio",Captions:"Captions","Enable captions":"Enable captions","Disable captions":"Disable captions","Start casting":"Start casting","Stop casting":"Stop casting","Enter fullscreen mode":"Enter fullscreen mode","Exit fullscreen mode":"Exit fullscreen mode",Mute:"Mute",Unmute:"Unmute",Loop:"Loop","Enter picture in picture mode":"Enter picture in picture mode","Exit picture in picture mode":"Exit picture in picture mode",Play:"Play",Pause:"Pause","Playback rate":"Playback rate","Playback rate {playbackRate}":"Playback rate {playbackRate}",Quality:"Quality","Seek backward":"Seek backward","Seek forward":"Seek forward",Settings:"Settings",Auto:"Auto","audio player":"audio player","video player":"video player",volume:"volume",seek:"seek","closed captions":"closed captions","current playback rate":"current playback rate","playback time":"playback time","media loading":"media loading",settings:"settings","audio tracks":"audio tracks",quality:"quality",play:"play",pause:"pause",mute:"mute",unmute:"unmute","chapter: {chapterName}":"chapter: {chapterName}",live:"live",Off:"Off","start airplay":"start airplay","stop airplay":"stop airplay","start casting":"start casting","stop casting":"stop casting","enter fullscreen mode":"enter fullscreen mode","exit fullscreen mode":"exit fullscreen mode","enter picture in picture mode":"enter picture in picture mode","exit picture in picture mode":"exit picture in picture mode","seek to live":"seek to live","playing live":"playing live","seek back {seekOffset} seconds":"seek back {seekOffset} seconds","seek forward {seekOffset} seconds":"seek forward {seekOffset} seconds","Network Error":"Network Error","Decode Error":"Decode Error","Source Not Supported":"Source Not Supported","Encryption Error":"Encryption Error","A network error caused the media download to fail.":"A network error caused the media download to fail.","A media error caused playback to be aborted. The media could be corrupt or your browser does not support this format.":"A media error caused playback to be aborted. The media could be corrupt or your browser does not support this format.","An unsupported error occurred. The server or network failed, or your browser does not support this format.":"An unsupported error occurred. The server or network failed, or your browser does not support this format.","The media is encrypted and there are no keys to decrypt it.":"The media is encrypted and there are no keys to decrypt it.",hour:"hour",hours:"hours",minute:"minute",minutes:"minutes",second:"second",seconds:"seconds","{time} remaining":"{time} remaining","{currentTime} of {totalTime}":"{currentTime} of {totalTime}","video not loaded, unknown time.":"video not loaded, unknown time."};var Do,Ri={en:Ro},Bt=((Do=globalThis.navigator)==null?void 0:Do.language)||"en",Co=t=>{Bt=t};var Od=t=>{var e,i,a;let[r]=Bt.split("-");return((e=Ri[Bt])==null?void 0:e[t])||((i=Ri[r])==null?void 0:i[t])||((a=Ri.en)==null?void 0:a[t])||t},xo=()=>{let[t]=Bt.split("-");return Ri[Bt]?Bt:Ri[t]?t:"en"},v=(t,e={})=>Od(t).replace(/\{(\w+)\}/g,(i,a)=>a in e?String(e[a]):`{${a}}`);var hn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},V=(t,e,i)=>(hn(t,e,"read from private field"),i?i.call(t):e.get(t)),ie=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},_e=(t,e,i,a)=>(hn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),be=(t,e,i)=>(hn(t,e,"access private method"),i),Di,Da,Ft,Kt,Vt,dn,$t,La,cn,Uo,un,Oo,Ci,Ca,xa,mn,Gt,xi,Je,Ra,g={AUDIO:"audio",AUTOHIDE:"autohide",BREAKPOINTS:"breakpoints",GESTURES_DISABLED:"gesturesdisabled",KEYBOARD_CONTROL:"keyboardcontrol",NO_AUTOHIDE:"noautohide",USER_INACTIVE:"userinactive",AUTOHIDE_OVER_CONTROLS:"autohideovercontrols"};function Pd(t){return`
    <style>
      
      :host([${s.MEDIA_IS_FULLSCREEN}]) ::slotted([slot=media]) {
        outline: none;
      }

      :host {
        box-sizing: border-box;
        position: relative;
        display: inline-block;
        line-height: 0;
        background-color: var(--media-background-color, #000);
        overflow: hidden;
      }

      :host(:not([${g.AUDIO}])) [part~=layer]:not([part~=media-layer]) {
        position: absolute;
        top: 0;
        left: 0;
        bottom: 0;
        right: 0;
        display: flex;
        flex-flow: column nowrap;
        align-items: start;
        pointer-events: none;
        background: none;
      }

      slot[name=media] {
        display: var(--media-slot-display, contents);
      }

      
      :host([${g.AUDIO}]) slot[name=media] {
        display: var(--media-slot-display, none);
      }

      
      :host([${g.AUDIO}]) [part~=layer][part~=gesture-layer] {
        height: 0;
        display: block;
      }

      
      :host(:not([${g.AUDIO}])[${g.GESTURES_DISABLED}]) ::slotted([slot=gestures-chrome]),
          :host(:not([${g.AUDIO}])[${g.GESTURES_DISABLED}]) media-gesture-receiver[slot=gestures-chrome] {
        display: none;
      }

      
      ::slotted(:not([slot=media]):not([slot=poster]):not(media-loading-indicator):not([role=dialog]):not([hidden])) {
        pointer-events: auto;
      }

      :host(:not([${g.AUDIO}])) *[part~=layer][part~=centered-layer] {
        align-items: center;
        justify-content: center;
      }

      :host(:not([${g.AUDIO}])) ::slotted(media-gesture-receiver[slot=gestures-chrome]),
      :host(:not([${g.AUDIO}])) media-gesture-receiver[slot=gestures-chrome] {
        align-self: stretch;
        flex-grow: 1;
      }

      slot[name=middle-chrome] {
        display: inline;
        flex-grow: 1;
        pointer-events: none;
        background: none;
      }

      
      ::slotted([slot=media]),
      ::slotted([slot=poster]) {
        width: 100%;
        height: 100%;
      }

      
      :host(:not([${g.AUDIO}])) .spacer {
        flex-grow: 1;
      }

      
      :host(:-webkit-full-screen) {
        
        width: 100% !important;
        height: 100% !important;
      }

      
      ::slotted(:not([slot=media]):not([slot=poster]):not([${g.NO_AUTOHIDE}]):not([hidden]):not([role=dialog])) {
        opacity: 1;
        transition: var(--media-control-transition-in, opacity 0.25s);
      }

      
      :host([${g.USER_INACTIVE}]:not([${s.MEDIA_PAUSED}]):not([${s.MEDIA_IS_AIRPLAYING}]):not([${s.MEDIA_IS_CASTING}]):not([${g.AUDIO}])) ::slotted(:not([slot=media]):not([slot=poster]):not([${g.NO_AUTOHIDE}]):not([role=dialog])) {
        opacity: 0;
        transition: var(--media-control-transition-out, opacity 1s);
      }

      :host([${g.USER_INACTIVE}]:not([${g.NO_AUTOHIDE}]):not([${s.MEDIA_PAUSED}]):not([${s.MEDIA_IS_CASTING}]):not([${g.AUDIO}])) ::slotted([slot=media]) {
        cursor: none;
      }

      :host([${g.USER_INACTIVE}][${g.AUTOHIDE_OVER_CONTROLS}]:not([${g.NO_AUTOHIDE}]):not([${s.MEDIA_PAUSED}]):not([${s.MEDIA_IS_CASTING}]):not([${g.AUDIO}])) * {
        --media-cursor: none;
        cursor: none;
      }


      ::slotted(media-control-bar)  {
        align-self: stretch;
      }

      
      
      :host(:not([${g.AUDIO}])[${s.MEDIA_HAS_PLAYED}]) slot[name=poster],
      :host(:not([${g.AUDIO}])[${s.MEDIA_STREAM_TYPE}="${oe.ON_DEMAND}"][${s.MEDIA_CURRENT_TIME}]:not([${s.MEDIA_CURRENT_TIME}="0"])) slot[name=poster] {
        display: none;
      }

      ::slotted([role=dialog]) {
        width: 100%;
        height: 100%;
        align-self: center;
      }

      ::slotted([role=menu]) {
        align-self: end;
      }
    </style>

    <slot name="media" part="layer media-layer"></slot>
    <slot name="poster" part="layer poster-layer"></slot>
    <slot name="gestures-chrome" part="layer gesture-layer">
      <media-gesture-receiver slot="gestures-chrome">
        <template shadowrootmode="${ln.shadowRootOptions.mode}">
          ${ln.getTemplateHTML({})}
        </template>
      </media-gesture-receiver>
    </slot>
    <span part="layer vertical-layer">
      <slot name="top-chrome" part="top chrome"></slot>
      <slot name="middle-chrome" part="middle chrome"></slot>
      <slot name="centered-chrome" part="layer centered-layer center centered chrome"></slot>
      
      <slot part="bottom chrome"></slot>
    </span>
    <slot name="dialog" part="layer dialog-layer"></slot>
  `}var Nd=Object.values(s),Hd="sm:384 md:576 lg:768 xl:960";function Wd(t){Po(t.target,t.contentRect.width)}function Po(t,e){var i;if(!t.isConnected)return;let a=(i=t.getAttribute(g.BREAKPOINTS))!=null?i:Hd,r=Bd(a),n=Fd(r,e),o=!1;if(Object.keys(r).forEach(d=>{if(n.includes(d)){t.hasAttribute(`breakpoint${d}`)||(t.setAttribute(`breakpoint${d}`,""),o=!0);return}t.hasAttribute(`breakpoint${d}`)&&(t.removeAttribute(`breakpoint${d}`),o=!0)}),o){let d=new CustomEvent(Et.BREAKPOINTS_CHANGE,{detail:n});t.dispatchEvent(d)}t.breakpointsComputed||(t.breakpointsComputed=!0,t.dispatchEvent(new CustomEvent(Et.BREAKPOINTS_COMPUTED,{bubbles:!0,composed:!0})))}function Bd(t){let e=t.split(/\s+/);return Object.fromEntries(e.map(i=>i.split(":")))}function Fd(t,e){return Object.keys(t).filter(i=>e>=parseInt(t[i]))}var gt=class extends l.HTMLElement{constructor(){if(super(),ie(this,cn),ie(this,un),ie(this,Ci),ie(this,xa),ie(this,Gt),ie(this,Di,void 0),ie(this,Da,0),ie(this,Ft,null),ie(this,Kt,null),ie(this,Vt,void 0),this.breakpointsComputed=!1,ie(this,dn,e=>{let i=this.media;for(let a of e){if(a.type!=="childList")continue;let r=a.removedNodes;for(let n of r){if(n.slot!="media"||a.target!=this)continue;let o=a.previousSibling&&a.previousSibling.previousElementSibling;if(!o||!i)this.mediaUnsetCallback(n);else{let d=o.slot!=="media";for(;(o=o.previousSibling)!==null;)o.slot=="media"&&(d=!1);d&&this.mediaUnsetCallback(n)}}if(i)for(let n of a.addedNodes)n===i&&this.handleMediaUpdated(i)}}),ie(this,$t,!1),ie(this,La,e=>{V(this,$t)||(setTimeout(()=>{Wd(e),_e(this,$t,!1)},0),_e(this,$t,!0))}),ie(this,Je,void 0),ie(this,Ra,()=>{if(!V(this,Je).assignedElements({flatten:!0}).length){V(this,Ft)&&this.mediaUnsetCallback(V(this,Ft));return}this.handleMediaUpdated(this.media)}),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes),i=this.constructor.getTemplateHTML(e);this.shadowRoot.setHTMLUnsafe?this.shadowRoot.setHTMLUnsafe(i):this.shadowRoot.innerHTML=i}_e(this,Di,new MutationObserver(V(this,dn)))}static get observedAttributes(){return[g.AUTOHIDE,g.GESTURES_DISABLED].concat(Nd).filter(e=>![s.MEDIA_RENDITION_LIST,s.MEDIA_AUDIO_TRACK_LIST,s.MEDIA_CHAPTERS_CUES,s.MEDIA_WIDTH,s.MEDIA_HEIGHT,s.MEDIA_ERROR,s.MEDIA_ERROR_MESSAGE].includes(e))}attributeChangedCallback(e,i,a){e.toLowerCase()==g.AUTOHIDE&&(this.autohide=a)}get media(){let e=this.querySelector(":scope > [slot=media]");return e?.nodeName=="SLOT"&&(e=e.assignedElements({flatten:!0})[0]),e}async handleMediaUpdated(e){e&&(_e(this,Ft,e),e.localName.includes("-")&&await l.customElements.whenDefined(e.localName),this.mediaSetCallback(e))}connectedCallback(){var e;V(this,Di).observe(this,{childList:!0,subtree:!0}),Fe(this,V(this,La));let a=this.getAttribute(g.AUDIO)!=null?v("audio player"):v("video player");this.setAttribute("role","region"),this.setAttribute("aria-label",a),this.handleMediaUpdated(this.media),this.setAttribute(g.USER_INACTIVE,""),Po(this,this.getBoundingClientRect().width);let r=this.querySelector(":scope > slot[slot=media]");r&&(_e(this,Je,r),V(this,Je).addEventListener("slotchange",V(this,Ra))),this.addEventListener("pointerdown",this),this.addEventListener("pointermove",this),this.addEventListener("pointerup",this),this.addEventListener("mouseleave",this),this.addEventListener("keyup",this),(e=l.window)==null||e.addEventListener("mouseup",this)}disconnectedCallback(){var e;$e(this,V(this,La)),clearTimeout(V(this,Kt)),V(this,Di).disconnect(),this.media&&this.mediaUnsetCallback(this.media),(e=l.window)==null||e.removeEventListener("mouseup",this),this.removeEventListener("pointerdown",this),this.removeEventListener("pointermove",this),this.removeEventListener("pointerup",this),this.removeEventListener("mouseleave",this),this.removeEventListener("keyup",this),V(this,Je)&&(V(this,Je).removeEventListener("slotchange",V(this,Ra)),_e(this,Je,null)),_e(this,$t,!1)}mediaSetCallback(e){}mediaUnsetCallback(e){_e(this,Ft,null)}handleEvent(e){switch(e.type){case"pointerdown":_e(this,Da,e.timeStamp);break;case"pointermove":be(this,cn,Uo).call(this,e);break;case"pointerup":be(this,un,Oo).call(this,e);break;case"mouseleave":be(this,Ci,Ca).call(this);break;case"mouseup":this.removeAttribute(g.KEYBOARD_CONTROL);break;case"keyup":be(this,Gt,xi).call(this),this.setAttribute(g.KEYBOARD_CONTROL,"");break}}set autohide(e){let i=Number(e);_e(this,Vt,isNaN(i)?0:i)}get autohide(){return(V(this,Vt)===void 0?2:V(this,Vt)).toString()}get breakpoints(){return R(this,g.BREAKPOINTS)}set breakpoints(e){L(this,g.BREAKPOINTS,e)}get audio(){return T(this,g.AUDIO)}set audio(e){S(this,g.AUDIO,e)}get gesturesDisabled(){return T(this,g.GESTURES_DISABLED)}set gesturesDisabled(e){S(this,g.GESTURES_DISABLED,e)}get keyboardControl(){return T(this,g.KEYBOARD_CONTROL)}set keyboardControl(e){S(this,g.KEYBOARD_CONTROL,e)}get noAutohide(){return T(this,g.NO_AUTOHIDE)}set noAutohide(e){S(this,g.NO_AUTOHIDE,e)}get autohideOverControls(){return T(this,g.AUTOHIDE_OVER_CONTROLS)}set autohideOverControls(e){S(this,g.AUTOHIDE_OVER_CONTROLS,e)}get userInteractive(){return T(this,g.USER_INACTIVE)}set userInteractive(e){S(this,g.USER_INACTIVE,e)}};Di=new WeakMap;Da=new WeakMap;Ft=new WeakMap;Kt=new WeakMap;Vt=new WeakMap;dn=new WeakMap;$t=new WeakMap;La=new WeakMap;cn=new WeakSet;Uo=function(t){if(t.pointerType!=="mouse"&&t.timeStamp-V(this,Da)<250)return;be(this,xa,mn).call(this),clearTimeout(V(this,Kt));let e=this.hasAttribute(g.AUTOHIDE_OVER_CONTROLS);([this,this.media].includes(t.target)||e)&&be(this,Gt,xi).call(this)};un=new WeakSet;Oo=function(t){if(t.pointerType==="touch"){let e=!this.hasAttribute(g.USER_INACTIVE);[this,this.media].includes(t.target)&&e?be(this,Ci,Ca).call(this):be(this,Gt,xi).call(this)}else t.composedPath().some(e=>["media-play-button","media-fullscreen-button"].includes(e?.localName))&&be(this,Gt,xi).call(this)};Ci=new WeakSet;Ca=function(){if(V(this,Vt)<0||this.hasAttribute(g.USER_INACTIVE))return;this.setAttribute(g.USER_INACTIVE,"");let t=new l.CustomEvent(Et.USER_INACTIVE_CHANGE,{composed:!0,bubbles:!0,detail:!0});this.dispatchEvent(t)};xa=new WeakSet;mn=function(){if(!this.hasAttribute(g.USER_INACTIVE))return;this.removeAttribute(g.USER_INACTIVE);let t=new l.CustomEvent(Et.USER_INACTIVE_CHANGE,{composed:!0,bubbles:!0,detail:!1});this.dispatchEvent(t)};Gt=new WeakSet;xi=function(){be(this,xa,mn).call(this),clearTimeout(V(this,Kt));let t=parseInt(this.autohide);t<0||_e(this,Kt,setTimeout(()=>{be(this,Ci,Ca).call(this)},t*1e3))};Je=new WeakMap;Ra=new WeakMap;gt.shadowRootOptions={mode:"open"};gt.getTemplateHTML=Pd;l.customElements.get("media-container")||l.customElements.define("media-container",gt);var bn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},bt=(t,e,i)=>(bn(t,e,"read from private field"),i?i.call(t):e.get(t)),Ve=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},An=(t,e,i,a)=>(bn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),_t=(t,e,i)=>(bn(t,e,"access private method"),i),Oa,Oi,At,Ua,pn,vn,No,En,Ho,fn,Wo,gn,Bo,_n,Fo;function $d(t){return`
    <style>
      :host {
        font: var(--media-font,
          var(--media-font-weight, normal)
          var(--media-font-size, 14px) /
          var(--media-text-content-height, var(--media-control-height, 24px))
          var(--media-font-family, helvetica neue, segoe ui, roboto, arial, sans-serif));
        color: var(--media-text-color, var(--media-primary-color, rgb(238 238 238)));
        display: var(--media-dialog-display, inline-flex);
        justify-content: center;
        align-items: center;
        
        transition-behavior: allow-discrete;
        visibility: hidden;
        opacity: 0;
        transform: translateY(2px) scale(.99);
        pointer-events: none;
      }

      :host([open]) {
        transition: display .2s, visibility 0s, opacity .2s ease-out, transform .15s ease-out;
        visibility: visible;
        opacity: 1;
        transform: translateY(0) scale(1);
        pointer-events: auto;
      }

      #content {
        display: flex;
        position: relative;
        box-sizing: border-box;
        width: min(320px, 100%);
        word-wrap: break-word;
        max-height: 100%;
        overflow: auto;
        text-align: center;
        line-height: 1.4;
      }
    </style>
    ${this.getSlotTemplateHTML(t)}
  `}function Vd(t){return`
    <slot id="content"></slot>
  `}var Ui={OPEN:"open",ANCHOR:"anchor"},je=class extends l.HTMLElement{constructor(){super(),Ve(this,Ua),Ve(this,vn),Ve(this,En),Ve(this,fn),Ve(this,gn),Ve(this,_n),Ve(this,Oa,!1),Ve(this,Oi,null),Ve(this,At,null)}static get observedAttributes(){return[Ui.OPEN,Ui.ANCHOR]}get open(){return T(this,Ui.OPEN)}set open(e){S(this,Ui.OPEN,e)}handleEvent(e){switch(e.type){case"invoke":_t(this,fn,Wo).call(this,e);break;case"focusout":_t(this,gn,Bo).call(this,e);break;case"keydown":_t(this,_n,Fo).call(this,e);break}}connectedCallback(){_t(this,Ua,pn).call(this),this.role||(this.role="dialog"),this.addEventListener("invoke",this),this.addEventListener("focusout",this),this.addEventListener("keydown",this)}disconnectedCallback(){this.removeEventListener("invoke",this),this.removeEventListener("focusout",this),this.removeEventListener("keydown",this)}attributeChangedCallback(e,i,a){_t(this,Ua,pn).call(this),e===Ui.OPEN&&a!==i&&(this.open?_t(this,vn,No).call(this):_t(this,En,Ho).call(this))}focus(){An(this,Oi,Mi());let e=!this.dispatchEvent(new Event("focus",{composed:!0,cancelable:!0})),i=!this.dispatchEvent(new Event("focusin",{composed:!0,bubbles:!0,cancelable:!0}));if(e||i)return;let a=this.querySelector('[autofocus], [tabindex]:not([tabindex="-1"]), [role="menu"]');a?.focus()}get keysUsed(){return["Escape","Tab"]}};Oa=new WeakMap;Oi=new WeakMap;At=new WeakMap;Ua=new WeakSet;pn=function(){if(!bt(this,Oa)&&(An(this,Oa,!0),!this.shadowRoot)){this.attachShadow(this.constructor.shadowRootOptions);let t=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(t),queueMicrotask(()=>{let{style:e}=O(this.shadowRoot,":host");e.setProperty("transition","display .15s, visibility .15s, opacity .15s ease-in, transform .15s ease-in")})}};vn=new WeakSet;No=function(){var t;(t=bt(this,At))==null||t.setAttribute("aria-expanded","true"),this.dispatchEvent(new Event("open",{composed:!0,bubbles:!0})),this.addEventListener("transitionend",()=>this.focus(),{once:!0})};En=new WeakSet;Ho=function(){var t;(t=bt(this,At))==null||t.setAttribute("aria-expanded","false"),this.dispatchEvent(new Event("close",{composed:!0,bubbles:!0}))};fn=new WeakSet;Wo=function(t){An(this,At,t.relatedTarget),te(this,t.relatedTarget)||(this.open=!this.open)};gn=new WeakSet;Bo=function(t){var e;te(this,t.relatedTarget)||((e=bt(this,Oi))==null||e.focus(),bt(this,At)&&bt(this,At)!==t.relatedTarget&&this.open&&(this.open=!1))};_n=new WeakSet;Fo=function(t){var e,i,a,r,n;let{key:o,ctrlKey:d,altKey:c,metaKey:_}=t;d||c||_||this.keysUsed.includes(o)&&(t.preventDefault(),t.stopPropagation(),o==="Tab"?(t.shiftKey?(i=(e=this.previousElementSibling)==null?void 0:e.focus)==null||i.call(e):(r=(a=this.nextElementSibling)==null?void 0:a.focus)==null||r.call(a),this.blur()):o==="Escape"&&((n=bt(this,Oi))==null||n.focus(),this.open=!1))};je.shadowRootOptions={mode:"open"};je.getTemplateHTML=$d;je.getSlotTemplateHTML=Vd;l.customElements.get("media-chrome-dialog")||l.customElements.define("media-chrome-dialog",je);var Kd=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},et=(t,e,i)=>(Kd(t,e,"read from private field"),i?i.call(t):e.get(t)),$o=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},qt,Yt,Pi={HOTKEYS:"hotkeys"},Gd=[{keys:[{key:" ",label:"Space"},{key:"k"}],description:"Toggle Playback"},{keys:[{key:"m"}],description:"Toggle mute"},{keys:[{key:"f"}],description:"Toggle fullscreen"},{keys:[{key:"c"}],description:"Toggle captions or subtitles, if available"},{keys:[{key:"p"}],description:"Toggle Picture in Picture"},{keys:[{key:"ArrowLeft",label:"\u2190"},{key:"j"}],description:"Seek back 10s"},{keys:[{key:"ArrowRight",label:"\u2192"},{key:"l"}],description:"Seek forward 10s"},{keys:[{key:"ArrowUp",label:"\u2191"}],description:"Turn volume up"},{keys:[{key:"ArrowDown",label:"\u2193"}],description:"Turn volume down"},{keys:[{key:"<",label:"< (SHIFT+,)"}],description:"Decrease playback rate"},{keys:[{key:">",label:"> (SHIFT+.)"}],description:"Increase playback rate"},{keys:[{key:"shift+/",label:"SHIFT+/"}],description:"Show keyboard shortcuts"}];function Na(t){return t===" "?"nospace":`no${t.toLowerCase()}`}function qd(t){let e=new Set(t?.split(/\s+/));return Gd.map(({keys:i,description:a})=>({keys:i.filter(({key:r})=>!e.has(Na(r))),description:a})).filter(({keys:i})=>i.length)}function Yd(t){return`
    <style>
      :host {
        position: fixed;
        top: 0;
        left: 0;
        z-index: 9999;
        background: rgb(20 20 30 / .8);
        backdrop-filter: blur(10px);
      }

      #content {
        display: block;
        width: clamp(400px, 40vw, 700px);
        max-width: 90vw;
        text-align: left;
      }

      h2 {
        margin: 0 0 1.5rem 0;
        font-size: 1.5rem;
        font-weight: 500;
        text-align: center;
      }

      .shortcuts-table {
        width: 100%;
        border-collapse: collapse;
      }

      .shortcuts-table tr {
        border-bottom: 1px solid rgba(255, 255, 255, 0.1);
      }

      .shortcuts-table tr:last-child {
        border-bottom: none;
      }

      .shortcuts-table td {
        padding: 0.75rem 0.5rem;
      }

      .shortcuts-table td:first-child {
        text-align: right;
        padding-right: 1rem;
        width: 40%;
        min-width: 120px;
      }

      .shortcuts-table td:last-child {
        padding-left: 1rem;
      }

      .key {
        display: inline-block;
        background: rgba(255, 255, 255, 0.15);
        border: 1px solid rgba(255, 255, 255, 0.2);
        border-radius: 4px;
        padding: 0.25rem 0.5rem;
        font-family: 'Courier New', monospace;
        font-size: 0.9rem;
        font-weight: 500;
        min-width: 1.5rem;
        text-align: center;
        margin: 0 0.2rem;
      }

      .description {
        color: rgba(255, 255, 255, 0.9);
        font-size: 0.95rem;
      }

      .key-combo {
        display: flex;
        align-items: center;
        justify-content: flex-end;
        gap: 0.3rem;
      }

      .key-separator {
        color: rgba(255, 255, 255, 0.5);
        font-size: 0.9rem;
      }
    </style>
    <slot id="content">
      ${Vo(t[Pi.HOTKEYS])}
    </slot>
  `}function Vo(t){return`
    <h2>Keyboard Shortcuts</h2>
    <table class="shortcuts-table">${qd(t).map(({keys:i,description:a})=>`
        <tr>
          <td>
            <div class="key-combo">${i.map(({key:n,label:o=n},d)=>d>0?`<span class="key-separator">or</span><span class="key">${o}</span>`:`<span class="key">${o}</span>`).join("")}</div>
          </td>
          <td class="description">${a}</td>
        </tr>
      `).join("")}</table>
  `}var Pa=class extends je{constructor(){super(...arguments),$o(this,qt,e=>{var i;if(!this.open)return;let a=(i=this.shadowRoot)==null?void 0:i.querySelector("#content");if(!a)return;let r=e.composedPath(),n=r[0]===this||r.includes(this),o=r.includes(a);n&&!o&&(this.open=!1)}),$o(this,Yt,e=>{if(!this.open)return;let i=e.shiftKey&&(e.key==="/"||e.key==="?");(e.key==="Escape"||i)&&!e.ctrlKey&&!e.altKey&&!e.metaKey&&(this.open=!1,e.preventDefault(),e.stopPropagation())})}static get observedAttributes(){return[...super.observedAttributes,Pi.HOTKEYS]}get hotkeys(){var e;return(e=R(this,Pi.HOTKEYS))!=null?e:void 0}set hotkeys(e){L(this,Pi.HOTKEYS,e)}connectedCallback(){super.connectedCallback(),this.open&&(this.addEventListener("click",et(this,qt)),document.addEventListener("keydown",et(this,Yt)))}disconnectedCallback(){this.removeEventListener("click",et(this,qt)),document.removeEventListener("keydown",et(this,Yt))}attributeChangedCallback(e,i,a){var r;if(super.attributeChangedCallback(e,i,a),e==="open")this.open?(this.addEventListener("click",et(this,qt)),document.addEventListener("keydown",et(this,Yt))):(this.removeEventListener("click",et(this,qt)),document.removeEventListener("keydown",et(this,Yt)));else if(e===Pi.HOTKEYS&&a!==i){let n=(r=this.shadowRoot)==null?void 0:r.querySelector("#content");n&&(n.innerHTML=Vo(a))}}};qt=new WeakMap;Yt=new WeakMap;Pa.getSlotTemplateHTML=Yd;l.customElements.get("media-keyboard-shortcuts-dialog")||l.customElements.define("media-keyboard-shortcuts-dialog",Pa);var Ko=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},z=(t,e,i)=>(Ko(t,e,"read from private field"),i?i.call(t):e.get(t)),Ni=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Ha=(t,e,i,a)=>(Ko(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Qt,zt,Wa,Tt,Ke,tt,it=class{constructor(e,i,{defaultValue:a}={defaultValue:void 0}){Ni(this,Ke),Ni(this,Qt,void 0),Ni(this,zt,void 0),Ni(this,Wa,void 0),Ni(this,Tt,new Set),Ha(this,Qt,e),Ha(this,zt,i),Ha(this,Wa,new Set(a))}[Symbol.iterator](){return z(this,Ke,tt).values()}get length(){return z(this,Ke,tt).size}get value(){var e;return(e=[...z(this,Ke,tt)].join(" "))!=null?e:""}set value(e){var i;e!==this.value&&(Ha(this,Tt,new Set),this.add(...(i=e?.split(" "))!=null?i:[]))}toString(){return this.value}item(e){return[...z(this,Ke,tt)][e]}values(){return z(this,Ke,tt).values()}forEach(e,i){z(this,Ke,tt).forEach(e,i)}add(...e){var i,a;e.forEach(r=>z(this,Tt).add(r)),!(this.value===""&&!((i=z(this,Qt))!=null&&i.hasAttribute(`${z(this,zt)}`)))&&((a=z(this,Qt))==null||a.setAttribute(`${z(this,zt)}`,`${this.value}`))}remove(...e){var i;e.forEach(a=>z(this,Tt).delete(a)),(i=z(this,Qt))==null||i.setAttribute(`${z(this,zt)}`,`${this.value}`)}contains(e){return z(this,Ke,tt).has(e)}toggle(e,i){return typeof i<"u"?i?(this.add(e),!0):(this.remove(e),!1):this.contains(e)?(this.remove(e),!1):(this.add(e),!0)}replace(e,i){return this.remove(e),this.add(i),e===i}};Qt=new WeakMap;zt=new WeakMap;Wa=new WeakMap;Tt=new WeakMap;Ke=new WeakSet;tt=function(){return z(this,Tt).size?z(this,Tt):z(this,Wa)};function Go(t){return t?.map(Qd).join(" ")}function qo(t){return t?.split(/\s+/).map(zd)}function Qd(t){if(t){let{id:e,width:i,height:a}=t;return[e,i,a].filter(r=>r!=null).join(":")}}function zd(t){if(t){let[e,i,a]=t.split(":");return{id:e,width:+i,height:+a}}}function Yo(t){return t?.map(Zd).join(" ")}function Zd(t){if(t){let{id:e,kind:i,language:a,label:r}=t;return[e,i,a,r].filter(n=>n!=null).join(":")}}function Zt(t){return typeof t=="number"&&!Number.isNaN(t)&&Number.isFinite(t)}var Ba=t=>new Promise(e=>setTimeout(e,t));var Xd=(t="")=>t.split(/\s+/),Qo=(t="")=>{let[e,i,a]=t.split(":"),r=a?decodeURIComponent(a):void 0;return{kind:e==="cc"?re.CAPTIONS:re.SUBTITLES,language:i,label:r}},Hi=(t="",e={})=>Xd(t).map(i=>{let a=Qo(i);return{...e,...a}}),Tn=t=>t?Array.isArray(t)?t.map(e=>typeof e=="string"?Qo(e):e):typeof t=="string"?Hi(t):[t]:[],Fa=({kind:t,label:e,language:i}={kind:"subtitles"})=>e?`${t==="captions"?"cc":"sb"}:${i}:${encodeURIComponent(e)}`:i,St=(t=[])=>Array.prototype.map.call(t,Fa).join(" "),Jd=(t,e)=>i=>i[t]===e,zo=t=>{let e=Object.entries(t).map(([i,a])=>Jd(i,a));return i=>e.every(a=>a(i))},kt=(t,e=[],i=[])=>{let a=Tn(i).map(zo),r=n=>a.some(o=>o(n));Array.from(e).filter(r).forEach(n=>{n.mode=t})},It=(t,e=()=>!0)=>{if(!t?.textTracks)return[];let i=typeof e=="function"?e:zo(e);return Array.from(t.textTracks).filter(i)},Zo=t=>{var e;return!!((e=t.mediaSubtitlesShowing)!=null&&e.length)||t.hasAttribute(s.MEDIA_SUBTITLES_SHOWING)};var Jo=t=>{var e;let{media:i,fullscreenElement:a}=t;try{let r=a&&"requestFullscreen"in a?"requestFullscreen":a&&"webkitRequestFullScreen"in a?"webkitRequestFullScreen":void 0;if(r){let n=(e=a[r])==null?void 0:e.call(a);if(n instanceof Promise)return n.catch(()=>{})}else i?.webkitEnterFullscreen?i.webkitEnterFullscreen():i?.requestFullscreen&&i.requestFullscreen()}catch(r){console.error(r)}},Xo="exitFullscreen"in H?"exitFullscreen":"webkitExitFullscreen"in H?"webkitExitFullscreen":"webkitCancelFullScreen"in H?"webkitCancelFullScreen":void 0,jo=t=>{var e;let{documentElement:i}=t;if(Xo){let a=(e=i?.[Xo])==null?void 0:e.call(i);if(a instanceof Promise)return a.catch(()=>{})}},Wi="fullscreenElement"in H?"fullscreenElement":"webkitFullscreenElement"in H?"webkitFullscreenElement":void 0,jd=t=>{let{documentElement:e,media:i}=t,a=e?.[Wi];return!a&&"webkitDisplayingFullscreen"in i&&"webkitPresentationMode"in i&&i.webkitDisplayingFullscreen&&i.webkitPresentationMode===Io.FULLSCREEN?i:a},el=t=>{var e;let{media:i,documentElement:a,fullscreenElement:r=i}=t;if(!i||!a)return!1;let n=jd(t);if(!n)return!1;if(n===r||n===i)return!0;if(n.localName.includes("-")){let o=n.shadowRoot;if(!(Wi in o))return te(n,r);for(;o?.[Wi];){if(o[Wi]===r)return!0;o=(e=o[Wi])==null?void 0:e.shadowRoot}}return!1},ec="fullscreenEnabled"in H?"fullscreenEnabled":"webkitFullscreenEnabled"in H?"webkitFullscreenEnabled":void 0,tl=t=>{let{documentElement:e,media:i}=t;return!!e?.[ec]||i&&"webkitSupportsFullscreen"in i};var $a,Sn=()=>{var t,e;return $a||($a=(e=(t=H)==null?void 0:t.createElement)==null?void 0:e.call(t,"video"),$a)},il=async(t=Sn())=>{if(!t)return!1;let e=t.volume;t.volume=e/2+.1;let i=new AbortController,a=await Promise.race([tc(t,i.signal),ic(t,e)]);return i.abort(),a},tc=(t,e)=>new Promise(i=>{t.addEventListener("volumechange",()=>i(!0),{signal:e})}),ic=async(t,e)=>{for(let i=0;i<10;i++){if(t.volume===e)return!1;await Ba(10)}return t.volume!==e},ac=/.*Version\/.*Safari\/.*/.test(l.navigator.userAgent),kn=(t=Sn())=>l.matchMedia("(display-mode: standalone)").matches&&ac?!1:typeof t?.requestPictureInPicture=="function",In=(t=Sn())=>tl({documentElement:H,media:t}),al=In(),rl=kn(),nl=!!l.WebKitPlaybackTargetAvailabilityEvent,sl=!!l.chrome;var Xt=t=>It(t.media,e=>[re.SUBTITLES,re.CAPTIONS].includes(e.kind)).sort((e,i)=>e.kind>=i.kind?1:-1),yn=t=>It(t.media,e=>e.mode===Xe.SHOWING&&[re.SUBTITLES,re.CAPTIONS].includes(e.kind)),Va=(t,e)=>{let i=Xt(t),a=yn(t),r=!!a.length;if(i.length){if(e===!1||r&&e!==!0)kt(Xe.DISABLED,i,a);else if(e===!0||!r&&e!==!1){let n=i[0],{options:o}=t;if(!o?.noSubtitlesLangPref){let k=l.localStorage.getItem("media-chrome-pref-subtitles-lang"),A=k?[k,...l.navigator.languages]:l.navigator.languages,f=i.filter(m=>A.some(b=>m.language.toLowerCase().startsWith(b.split("-")[0]))).sort((m,b)=>{let E=A.findIndex(I=>m.language.toLowerCase().startsWith(I.split("-")[0])),y=A.findIndex(I=>b.language.toLowerCase().startsWith(I.split("-")[0]));return E-y});f[0]&&(n=f[0])}let{language:d,label:c,kind:_}=n;kt(Xe.DISABLED,i,a),kt(Xe.SHOWING,i,[{language:d,label:c,kind:_}])}}},Ka=(t,e)=>t===e?!0:t==null||e==null||typeof t!=typeof e?!1:typeof t=="number"&&Number.isNaN(t)&&Number.isNaN(e)?!0:typeof t!="object"?!1:Array.isArray(t)?rc(t,e):Object.entries(t).every(([i,a])=>i in e&&Ka(a,e[i])),rc=(t,e)=>{let i=Array.isArray(t),a=Array.isArray(e);return i!==a?!1:i||a?t.length!==e.length?!1:t.every((r,n)=>Ka(r,e[n])):!0};var nc=Object.values(oe),Ga,sc=il().then(t=>(Ga=t,Ga)),ol=async(...t)=>{await Promise.all(t.filter(e=>e).map(async e=>{if(!("localName"in e&&e instanceof l.HTMLElement))return;let i=e.localName;if(!i.includes("-"))return;let a=l.customElements.get(i);a&&e instanceof a||(await l.customElements.whenDefined(i),l.customElements.upgrade(e))}))},oc=new l.DOMParser,lc=t=>t&&(oc.parseFromString(t,"text/html").body.textContent||t),Jt={mediaError:{get(t,e){let{media:i}=t;if(e?.type!=="playing")return i?.error},mediaEvents:["emptied","error","playing"]},mediaErrorCode:{get(t,e){var i;let{media:a}=t;if(e?.type!=="playing")return(i=a?.error)==null?void 0:i.code},mediaEvents:["emptied","error","playing"]},mediaErrorMessage:{get(t,e){var i,a;let{media:r}=t;if(e?.type!=="playing")return(a=(i=r?.error)==null?void 0:i.message)!=null?a:""},mediaEvents:["emptied","error","playing"]},mediaWidth:{get(t){var e;let{media:i}=t;return(e=i?.videoWidth)!=null?e:0},mediaEvents:["resize"]},mediaHeight:{get(t){var e;let{media:i}=t;return(e=i?.videoHeight)!=null?e:0},mediaEvents:["resize"]},mediaPaused:{get(t){var e;let{media:i}=t;return(e=i?.paused)!=null?e:!0},set(t,e){var i;let{media:a}=e;a&&(t?a.pause():(i=a.play())==null||i.catch(()=>{}))},mediaEvents:["play","playing","pause","emptied"]},mediaHasPlayed:{get(t,e){let{media:i}=t;return i?e?e.type==="playing":!i.paused:!1},mediaEvents:["playing","emptied"]},mediaEnded:{get(t){var e;let{media:i}=t;return(e=i?.ended)!=null?e:!1},mediaEvents:["seeked","ended","emptied"]},mediaPlaybackRate:{get(t){var e;let{media:i}=t;return(e=i?.playbackRate)!=null?e:1},set(t,e){let{media:i}=e;i&&Number.isFinite(+t)&&(i.playbackRate=+t)},mediaEvents:["ratechange","loadstart"]},mediaMuted:{get(t){var e;let{media:i}=t;return(e=i?.muted)!=null?e:!1},set(t,e){let{media:i,options:{noMutedPref:a}={}}=e;if(i){i.muted=t;try{let r=l.localStorage.getItem("media-chrome-pref-muted")!==null,n=i.hasAttribute("muted");if(a){r&&l.localStorage.removeItem("media-chrome-pref-muted");return}if(n&&!r)return;l.localStorage.setItem("media-chrome-pref-muted",t?"true":"false")}catch(r){console.debug("Error setting muted pref",r)}}},mediaEvents:["volumechange"],stateOwnersUpdateHandlers:[(t,e)=>{let{options:{noMutedPref:i}}=e,{media:a}=e;if(!(!a||a.muted||i))try{let r=l.localStorage.getItem("media-chrome-pref-muted")==="true";Jt.mediaMuted.set(r,e),t(r)}catch(r){console.debug("Error getting muted pref",r)}}]},mediaLoop:{get(t){let{media:e}=t;return e?.loop},set(t,e){let{media:i}=e;i&&(i.loop=t)},mediaEvents:["medialooprequest"]},mediaVolume:{get(t){var e;let{media:i}=t;return(e=i?.volume)!=null?e:1},set(t,e){let{media:i,options:{noVolumePref:a}={}}=e;if(i){try{t==null?l.localStorage.removeItem("media-chrome-pref-volume"):!i.hasAttribute("muted")&&!a&&l.localStorage.setItem("media-chrome-pref-volume",t.toString())}catch(r){console.debug("Error setting volume pref",r)}Number.isFinite(+t)&&(i.volume=+t)}},mediaEvents:["volumechange"],stateOwnersUpdateHandlers:[(t,e)=>{let{options:{noVolumePref:i}}=e;if(!i)try{let{media:a}=e;if(!a)return;let r=l.localStorage.getItem("media-chrome-pref-volume");if(r==null)return;Jt.mediaVolume.set(+r,e),t(+r)}catch(a){console.debug("Error getting volume pref",a)}}]},mediaVolumeLevel:{get(t){let{media:e}=t;return typeof e?.volume>"u"?"high":e.muted||e.volume===0?"off":e.volume<.5?"low":e.volume<.75?"medium":"high"},mediaEvents:["volumechange"]},mediaCurrentTime:{get(t){var e;let{media:i}=t;return(e=i?.currentTime)!=null?e:0},set(t,e){let{media:i}=e;!i||!Zt(t)||(i.currentTime=t)},mediaEvents:["timeupdate","loadedmetadata","seeking"]},mediaDuration:{get(t){let{media:e,options:{defaultDuration:i}={}}=t;return i&&(!e||!e.duration||Number.isNaN(e.duration)||!Number.isFinite(e.duration))?i:Number.isFinite(e?.duration)?e.duration:Number.NaN},mediaEvents:["durationchange","loadedmetadata","emptied"]},mediaLoading:{get(t){let{media:e}=t;return e?.readyState<3},mediaEvents:["waiting","playing","emptied"]},mediaSeekable:{get(t){var e;let{media:i}=t;if(!((e=i?.seekable)!=null&&e.length))return;let a=i.seekable.start(0),r=i.seekable.end(i.seekable.length-1);if(!(!a&&!r))return[Number(a.toFixed(3)),Number(r.toFixed(3))]},mediaEvents:["loadedmetadata","emptied","progress","seekablechange"]},mediaBuffered:{get(t){var e;let{media:i}=t,a=(e=i?.buffered)!=null?e:[];return Array.from(a).map((r,n)=>[Number(a.start(n).toFixed(3)),Number(a.end(n).toFixed(3))])},mediaEvents:["progress","emptied"]},mediaStreamType:{get(t){let{media:e,options:{defaultStreamType:i}={}}=t,a=[oe.LIVE,oe.ON_DEMAND].includes(i)?i:void 0;if(!e)return a;let{streamType:r}=e;if(nc.includes(r))return r===oe.UNKNOWN?a:r;let n=e.duration;return n===1/0?oe.LIVE:Number.isFinite(n)?oe.ON_DEMAND:a},mediaEvents:["emptied","durationchange","loadedmetadata","streamtypechange"]},mediaTargetLiveWindow:{get(t){let{media:e}=t;if(!e)return Number.NaN;let{targetLiveWindow:i}=e,a=Jt.mediaStreamType.get(t);return(i==null||Number.isNaN(i))&&a===oe.LIVE?0:i},mediaEvents:["emptied","durationchange","loadedmetadata","streamtypechange","targetlivewindowchange"]},mediaTimeIsLive:{get(t){let{media:e,options:{liveEdgeOffset:i=10}={}}=t;if(!e)return!1;if(typeof e.liveEdgeStart=="number")return Number.isNaN(e.liveEdgeStart)?!1:e.currentTime>=e.liveEdgeStart;if(!(Jt.mediaStreamType.get(t)===oe.LIVE))return!1;let r=e.seekable;if(!r)return!0;if(!r.length)return!1;let n=r.end(r.length-1)-i;return e.currentTime>=n},mediaEvents:["playing","timeupdate","progress","waiting","emptied"]},mediaSubtitlesList:{get(t){return Xt(t).map(({kind:e,label:i,language:a})=>({kind:e,label:i,language:a}))},mediaEvents:["loadstart"],textTracksEvents:["addtrack","removetrack"]},mediaSubtitlesShowing:{get(t){return yn(t).map(({kind:e,label:i,language:a})=>({kind:e,label:i,language:a}))},mediaEvents:["loadstart"],textTracksEvents:["addtrack","removetrack","change"],stateOwnersUpdateHandlers:[(t,e)=>{var i,a;let{media:r,options:n}=e;if(!r)return;let o=d=>{var c;!n.defaultSubtitles||d&&![re.CAPTIONS,re.SUBTITLES].includes((c=d?.track)==null?void 0:c.kind)||Va(e,!0)};return r.addEventListener("loadstart",o),(i=r.textTracks)==null||i.addEventListener("addtrack",o),(a=r.textTracks)==null||a.addEventListener("removetrack",o),()=>{var d,c;r.removeEventListener("loadstart",o),(d=r.textTracks)==null||d.removeEventListener("addtrack",o),(c=r.textTracks)==null||c.removeEventListener("removetrack",o)}}]},mediaChaptersCues:{get(t){var e;let{media:i}=t;if(!i)return[];let[a]=It(i,{kind:re.CHAPTERS});return Array.from((e=a?.cues)!=null?e:[]).map(({text:r,startTime:n,endTime:o})=>({text:lc(r),startTime:n,endTime:o}))},mediaEvents:["loadstart","loadedmetadata"],textTracksEvents:["addtrack","removetrack","change"],stateOwnersUpdateHandlers:[(t,e)=>{var i;let{media:a}=e;if(!a)return;let r=a.querySelector('track[kind="chapters"][default][src]'),n=(i=a.shadowRoot)==null?void 0:i.querySelector(':is(video,audio) > track[kind="chapters"][default][src]');return r?.addEventListener("load",t),n?.addEventListener("load",t),()=>{r?.removeEventListener("load",t),n?.removeEventListener("load",t)}}]},mediaIsPip:{get(t){var e,i;let{media:a,documentElement:r}=t;if(!a||!r||!r.pictureInPictureElement)return!1;if(r.pictureInPictureElement===a)return!0;if(r.pictureInPictureElement instanceof HTMLMediaElement)return(e=a.localName)!=null&&e.includes("-")?te(a,r.pictureInPictureElement):!1;if(r.pictureInPictureElement.localName.includes("-")){let n=r.pictureInPictureElement.shadowRoot;for(;n?.pictureInPictureElement;){if(n.pictureInPictureElement===a)return!0;n=(i=n.pictureInPictureElement)==null?void 0:i.shadowRoot}}return!1},set(t,e){let{media:i}=e;if(i)if(t){if(!H.pictureInPictureEnabled){console.warn("MediaChrome: Picture-in-picture is not enabled");return}if(!i.requestPictureInPicture){console.warn("MediaChrome: The current media does not support picture-in-picture");return}let a=()=>{console.warn("MediaChrome: The media is not ready for picture-in-picture. It must have a readyState > 0.")};i.requestPictureInPicture().catch(r=>{if(r.code===11){if(!i.src){console.warn("MediaChrome: The media is not ready for picture-in-picture. It must have a src set.");return}if(i.readyState===0&&i.preload==="none"){let n=()=>{i.removeEventListener("loadedmetadata",o),i.preload="none"},o=()=>{i.requestPictureInPicture().catch(a),n()};i.addEventListener("loadedmetadata",o),i.preload="metadata",setTimeout(()=>{i.readyState===0&&a(),n()},1e3)}else throw r}else throw r})}else H.pictureInPictureElement&&H.exitPictureInPicture()},mediaEvents:["enterpictureinpicture","leavepictureinpicture"]},mediaRenditionList:{get(t){var e;let{media:i}=t;return[...(e=i?.videoRenditions)!=null?e:[]].map(a=>({...a}))},mediaEvents:["emptied","loadstart"],videoRenditionsEvents:["addrendition","removerendition"]},mediaRenditionSelected:{get(t){var e,i,a;let{media:r}=t;return(a=(i=r?.videoRenditions)==null?void 0:i[(e=r.videoRenditions)==null?void 0:e.selectedIndex])==null?void 0:a.id},set(t,e){let{media:i}=e;if(!i?.videoRenditions){console.warn("MediaController: Rendition selection not supported by this media.");return}let a=t,r=Array.prototype.findIndex.call(i.videoRenditions,n=>n.id==a);i.videoRenditions.selectedIndex!=r&&(i.videoRenditions.selectedIndex=r)},mediaEvents:["emptied"],videoRenditionsEvents:["addrendition","removerendition","change"]},mediaAudioTrackList:{get(t){var e;let{media:i}=t;return[...(e=i?.audioTracks)!=null?e:[]]},mediaEvents:["emptied","loadstart"],audioTracksEvents:["addtrack","removetrack"]},mediaAudioTrackEnabled:{get(t){var e,i;let{media:a}=t;return(i=[...(e=a?.audioTracks)!=null?e:[]].find(r=>r.enabled))==null?void 0:i.id},set(t,e){let{media:i}=e;if(!i?.audioTracks){console.warn("MediaChrome: Audio track selection not supported by this media.");return}let a=t;for(let r of i.audioTracks)r.enabled=a==r.id},mediaEvents:["emptied"],audioTracksEvents:["addtrack","removetrack","change"]},mediaIsFullscreen:{get(t){return el(t)},set(t,e,i){var a,r;t?(Jo(e),i.detail&&!((a=e.media)!=null&&a.inert)&&((r=e.media)==null||r.focus())):jo(e)},rootEvents:["fullscreenchange","webkitfullscreenchange"],mediaEvents:["webkitbeginfullscreen","webkitendfullscreen","webkitpresentationmodechanged"]},mediaIsCasting:{get(t){var e;let{media:i}=t;return!i?.remote||((e=i.remote)==null?void 0:e.state)==="disconnected"?!1:i.remote.state==="connected"},set(t,e){var i,a;let{media:r}=e;if(r&&!(t&&((i=r.remote)==null?void 0:i.state)!=="disconnected")&&!(!t&&((a=r.remote)==null?void 0:a.state)!=="connected")){if(typeof r.remote.prompt!="function"){console.warn("MediaChrome: Casting is not supported in this environment");return}r.remote.prompt().catch(()=>{})}},remoteEvents:["connect","connecting","disconnect"]},mediaIsAirplaying:{get(){return!1},set(t,e){let{media:i}=e;if(i){if(!(i.webkitShowPlaybackTargetPicker&&l.WebKitPlaybackTargetAvailabilityEvent)){console.error("MediaChrome: received a request to select AirPlay but AirPlay is not supported in this environment");return}i.webkitShowPlaybackTargetPicker()}},mediaEvents:["webkitcurrentplaybacktargetiswirelesschanged"]},mediaFullscreenUnavailable:{get(t){let{media:e}=t;if(!al||!In(e))return ne.UNSUPPORTED}},mediaPipUnavailable:{get(t){let{media:e}=t;if(!rl||!kn(e))return ne.UNSUPPORTED;if(e?.disablePictureInPicture)return ne.UNAVAILABLE}},mediaVolumeUnavailable:{get(t){let{media:e}=t;if(Ga===!1||e?.volume==null)return ne.UNSUPPORTED},stateOwnersUpdateHandlers:[t=>{Ga==null&&sc.then(e=>t(e?void 0:ne.UNSUPPORTED))}]},mediaCastUnavailable:{get(t,{availability:e="not-available"}={}){var i;let{media:a}=t;if(!sl||!((i=a?.remote)!=null&&i.state))return ne.UNSUPPORTED;if(!(e==null||e==="available"))return ne.UNAVAILABLE},stateOwnersUpdateHandlers:[(t,e)=>{var i;let{media:a}=e;return a?(a.disableRemotePlayback||a.hasAttribute("disableremoteplayback")||(i=a?.remote)==null||i.watchAvailability(n=>{t({availability:n?"available":"not-available"})}).catch(n=>{n.name==="NotSupportedError"?t({availability:null}):t({availability:"not-available"})}),()=>{var n;(n=a?.remote)==null||n.cancelWatchAvailability().catch(()=>{})}):void 0}]},mediaAirplayUnavailable:{get(t,e){if(!nl)return ne.UNSUPPORTED;if(e?.availability==="not-available")return ne.UNAVAILABLE},mediaEvents:["webkitplaybacktargetavailabilitychanged"],stateOwnersUpdateHandlers:[(t,e)=>{var i;let{media:a}=e;return a?(a.disableRemotePlayback||a.hasAttribute("disableremoteplayback")||(i=a?.remote)==null||i.watchAvailability(n=>{t({availability:n?"available":"not-available"})}).catch(n=>{n.name==="NotSupportedError"?t({availability:null}):t({availability:"not-available"})}),()=>{var n;(n=a?.remote)==null||n.cancelWatchAvailability().catch(()=>{})}):void 0}]},mediaRenditionUnavailable:{get(t){var e;let{media:i}=t;if(!i?.videoRenditions)return ne.UNSUPPORTED;if(!((e=i.videoRenditions)!=null&&e.length))return ne.UNAVAILABLE},mediaEvents:["emptied","loadstart"],videoRenditionsEvents:["addrendition","removerendition"]},mediaAudioTrackUnavailable:{get(t){var e,i;let{media:a}=t;if(!a?.audioTracks)return ne.UNSUPPORTED;if(((i=(e=a.audioTracks)==null?void 0:e.length)!=null?i:0)<=1)return ne.UNAVAILABLE},mediaEvents:["emptied","loadstart"],audioTracksEvents:["addtrack","removetrack"]},mediaLang:{get(t){let{options:{mediaLang:e}={}}=t;return e??"en"}}};var ll={[h.MEDIA_PREVIEW_REQUEST](t,e,{detail:i}){var a,r,n;let{media:o}=e,d=i??void 0,c,_;if(o&&d!=null){let[m]=It(o,{kind:re.METADATA,label:"thumbnails"}),b=Array.prototype.find.call((a=m?.cues)!=null?a:[],(E,y,I)=>y===0?E.endTime>d:y===I.length-1?E.startTime<=d:E.startTime<=d&&E.endTime>d);if(b){let E=/'^(?:[a-z]+:)?\/\//i.test(b.text)||(r=o?.querySelector('track[label="thumbnails"]'))==null?void 0:r.src,y=new URL(b.text,E);_=new URLSearchParams(y.hash).get("#xywh").split(",").map(ee=>+ee),c=y.href}}let k=t.mediaDuration.get(e),f=(n=t.mediaChaptersCues.get(e).find((m,b,E)=>b===E.length-1&&k===m.endTime?m.startTime<=d&&m.endTime>=d:m.startTime<=d&&m.endTime>d))==null?void 0:n.text;return i!=null&&f==null&&(f=""),{mediaPreviewTime:d,mediaPreviewImage:c,mediaPreviewCoords:_,mediaPreviewChapter:f}},[h.MEDIA_PAUSE_REQUEST](t,e){t["mediaPaused"].set(!0,e)},[h.MEDIA_PLAY_REQUEST](t,e){var i,a,r,n;let o="mediaPaused",c=t.mediaStreamType.get(e)===oe.LIVE,_=!((i=e.options)!=null&&i.noAutoSeekToLive),k=t.mediaTargetLiveWindow.get(e)>0;if(c&&_&&!k){let A=(a=t.mediaSeekable.get(e))==null?void 0:a[1];if(A){let f=(n=(r=e.options)==null?void 0:r.seekToLiveOffset)!=null?n:0,m=A-f;t.mediaCurrentTime.set(m,e)}}t[o].set(!1,e)},[h.MEDIA_PLAYBACK_RATE_REQUEST](t,e,{detail:i}){let a="mediaPlaybackRate",r=i;t[a].set(r,e)},[h.MEDIA_MUTE_REQUEST](t,e){t["mediaMuted"].set(!0,e)},[h.MEDIA_UNMUTE_REQUEST](t,e){let i="mediaMuted";t.mediaVolume.get(e)||t.mediaVolume.set(.25,e),t[i].set(!1,e)},[h.MEDIA_LOOP_REQUEST](t,e,{detail:i}){let a="mediaLoop",r=!!i;return t[a].set(r,e),{mediaLoop:r}},[h.MEDIA_VOLUME_REQUEST](t,e,{detail:i}){let a="mediaVolume",r=i;r&&t.mediaMuted.get(e)&&t.mediaMuted.set(!1,e),t[a].set(r,e)},[h.MEDIA_SEEK_REQUEST](t,e,{detail:i}){let a="mediaCurrentTime",r=i;t[a].set(r,e)},[h.MEDIA_SEEK_TO_LIVE_REQUEST](t,e){var i,a,r;let n="mediaCurrentTime",o=(i=t.mediaSeekable.get(e))==null?void 0:i[1];if(Number.isNaN(Number(o)))return;let d=(r=(a=e.options)==null?void 0:a.seekToLiveOffset)!=null?r:0,c=o-d;t[n].set(c,e)},[h.MEDIA_SHOW_SUBTITLES_REQUEST](t,e,{detail:i}){var a;let{options:r}=e,n=Xt(e),o=Tn(i),d=(a=o[0])==null?void 0:a.language;d&&!r.noSubtitlesLangPref&&l.localStorage.setItem("media-chrome-pref-subtitles-lang",d),kt(Xe.SHOWING,n,o)},[h.MEDIA_DISABLE_SUBTITLES_REQUEST](t,e,{detail:i}){let a=Xt(e),r=i??[];kt(Xe.DISABLED,a,r)},[h.MEDIA_TOGGLE_SUBTITLES_REQUEST](t,e,{detail:i}){Va(e,i)},[h.MEDIA_RENDITION_REQUEST](t,e,{detail:i}){let a="mediaRenditionSelected",r=i;t[a].set(r,e)},[h.MEDIA_AUDIO_TRACK_REQUEST](t,e,{detail:i}){let a="mediaAudioTrackEnabled",r=i;t[a].set(r,e)},[h.MEDIA_ENTER_PIP_REQUEST](t,e){let i="mediaIsPip";t.mediaIsFullscreen.get(e)&&t.mediaIsFullscreen.set(!1,e),t[i].set(!0,e)},[h.MEDIA_EXIT_PIP_REQUEST](t,e){t["mediaIsPip"].set(!1,e)},[h.MEDIA_ENTER_FULLSCREEN_REQUEST](t,e,i){let a="mediaIsFullscreen";t.mediaIsPip.get(e)&&t.mediaIsPip.set(!1,e),t[a].set(!0,e,i)},[h.MEDIA_EXIT_FULLSCREEN_REQUEST](t,e){t["mediaIsFullscreen"].set(!1,e)},[h.MEDIA_ENTER_CAST_REQUEST](t,e){let i="mediaIsCasting";t.mediaIsFullscreen.get(e)&&t.mediaIsFullscreen.set(!1,e),t[i].set(!0,e)},[h.MEDIA_EXIT_CAST_REQUEST](t,e){t["mediaIsCasting"].set(!1,e)},[h.MEDIA_AIRPLAY_REQUEST](t,e){t["mediaIsAirplaying"].set(!0,e)}};var dl=({media:t,fullscreenElement:e,documentElement:i,stateMediator:a=Jt,requestMap:r=ll,options:n={},monitorStateOwnersOnlyWithSubscriptions:o=!0})=>{let d=[],c={options:{...n}},_=Object.freeze({mediaPreviewTime:void 0,mediaPreviewImage:void 0,mediaPreviewCoords:void 0,mediaPreviewChapter:void 0}),k=E=>{E!=null&&(Ka(E,_)||(_=Object.freeze({..._,...E}),d.forEach(y=>y(_))))},A=()=>{let E=Object.entries(a).reduce((y,[I,{get:ee}])=>(y[I]=ee(c),y),{});k(E)},f={},m,b=async(E,y)=>{var I,ee,Si,ki,Pt,We,Be,Ii,vt,Ys,Qs,zs,Zs,Xs,Js,js;let Td=!!m;if(m={...c,...m??{},...E},Td)return;await ol(...Object.values(E));let Nt=d.length>0&&y===0&&o,eo=c.media!==m.media,to=((I=c.media)==null?void 0:I.textTracks)!==((ee=m.media)==null?void 0:ee.textTracks),io=((Si=c.media)==null?void 0:Si.videoRenditions)!==((ki=m.media)==null?void 0:ki.videoRenditions),ao=((Pt=c.media)==null?void 0:Pt.audioTracks)!==((We=m.media)==null?void 0:We.audioTracks),ro=((Be=c.media)==null?void 0:Be.remote)!==((Ii=m.media)==null?void 0:Ii.remote),no=c.documentElement!==m.documentElement,so=!!c.media&&(eo||Nt),oo=!!((vt=c.media)!=null&&vt.textTracks)&&(to||Nt),lo=!!((Ys=c.media)!=null&&Ys.videoRenditions)&&(io||Nt),co=!!((Qs=c.media)!=null&&Qs.audioTracks)&&(ao||Nt),uo=!!((zs=c.media)!=null&&zs.remote)&&(ro||Nt),ho=!!c.documentElement&&(no||Nt),rn=so||oo||lo||co||uo||ho,Ht=d.length===0&&y===1&&o,mo=!!m.media&&(eo||Ht),po=!!((Zs=m.media)!=null&&Zs.textTracks)&&(to||Ht),vo=!!((Xs=m.media)!=null&&Xs.videoRenditions)&&(io||Ht),Eo=!!((Js=m.media)!=null&&Js.audioTracks)&&(ao||Ht),fo=!!((js=m.media)!=null&&js.remote)&&(ro||Ht),go=!!m.documentElement&&(no||Ht),_o=mo||po||vo||Eo||fo||go;if(!(rn||_o)){Object.entries(m).forEach(([C,yi])=>{c[C]=yi}),A(),m=void 0;return}Object.entries(a).forEach(([C,{get:yi,mediaEvents:Sd=[],textTracksEvents:kd=[],videoRenditionsEvents:Id=[],audioTracksEvents:yd=[],remoteEvents:wd=[],rootEvents:Md=[],stateOwnersUpdateHandlers:Ld=[]}])=>{f[C]||(f[C]={});let se=B=>{let K=yi(c,B);k({[C]:K})},Q;Q=f[C].mediaEvents,Sd.forEach(B=>{Q&&so&&(c.media.removeEventListener(B,Q),f[C].mediaEvents=void 0),mo&&(m.media.addEventListener(B,se),f[C].mediaEvents=se)}),Q=f[C].textTracksEvents,kd.forEach(B=>{var K,fe;Q&&oo&&((K=c.media.textTracks)==null||K.removeEventListener(B,Q),f[C].textTracksEvents=void 0),po&&((fe=m.media.textTracks)==null||fe.addEventListener(B,se),f[C].textTracksEvents=se)}),Q=f[C].videoRenditionsEvents,Id.forEach(B=>{var K,fe;Q&&lo&&((K=c.media.videoRenditions)==null||K.removeEventListener(B,Q),f[C].videoRenditionsEvents=void 0),vo&&((fe=m.media.videoRenditions)==null||fe.addEventListener(B,se),f[C].videoRenditionsEvents=se)}),Q=f[C].audioTracksEvents,yd.forEach(B=>{var K,fe;Q&&co&&((K=c.media.audioTracks)==null||K.removeEventListener(B,Q),f[C].audioTracksEvents=void 0),Eo&&((fe=m.media.audioTracks)==null||fe.addEventListener(B,se),f[C].audioTracksEvents=se)}),Q=f[C].remoteEvents,wd.forEach(B=>{var K,fe;Q&&uo&&((K=c.media.remote)==null||K.removeEventListener(B,Q),f[C].remoteEvents=void 0),fo&&((fe=m.media.remote)==null||fe.addEventListener(B,se),f[C].remoteEvents=se)}),Q=f[C].rootEvents,Md.forEach(B=>{Q&&ho&&(c.documentElement.removeEventListener(B,Q),f[C].rootEvents=void 0),go&&(m.documentElement.addEventListener(B,se),f[C].rootEvents=se)});let Aa=f[C].stateOwnersUpdateHandlers;if(Aa&&rn&&(Array.isArray(Aa)?Aa:[Aa]).forEach(K=>{typeof K=="function"&&K()}),_o){let B=Ld.map(K=>K(se,m)).filter(K=>typeof K=="function");f[C].stateOwnersUpdateHandlers=B.length===1?B[0]:B}else rn&&(f[C].stateOwnersUpdateHandlers=void 0)}),Object.entries(m).forEach(([C,yi])=>{c[C]=yi}),A(),m=void 0};return b({media:t,fullscreenElement:e,documentElement:i,options:n}),{dispatch(E){let{type:y,detail:I}=E;if(r[y]&&_.mediaErrorCode==null){k(r[y](a,c,E));return}y==="mediaelementchangerequest"?b({media:I}):y==="fullscreenelementchangerequest"?b({fullscreenElement:I}):y==="documentelementchangerequest"?b({documentElement:I}):y==="optionschangerequest"&&(Object.entries(I??{}).forEach(([ee,Si])=>{c.options[ee]=Si}),A())},getState(){return _},subscribe(E){return b({},d.length+1),d.push(E),E(_),()=>{let y=d.indexOf(E);y>=0&&(b({},d.length-1),d.splice(y,1))}}}};var Cn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},p=(t,e,i)=>(Cn(t,e,"read from private field"),i?i.call(t):e.get(t)),le=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Ae=(t,e,i,a)=>(Cn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),at=(t,e,i)=>(Cn(t,e,"access private method"),i),Ge,Bi,M,de,Fi,ye,qa,$i,Ya,wn,wt,Qa,Mn,Vi,za,Ln,El,fl=["ArrowLeft","ArrowRight","ArrowUp","ArrowDown","Enter"," ","f","m","k","c","l","j",">","<","p"],cl=10,ul=.025,hl=.25,dc=.25,cc=2,u={DEFAULT_SUBTITLES:"defaultsubtitles",DEFAULT_STREAM_TYPE:"defaultstreamtype",DEFAULT_DURATION:"defaultduration",FULLSCREEN_ELEMENT:"fullscreenelement",HOTKEYS:"hotkeys",KEYBOARD_BACKWARD_SEEK_OFFSET:"keyboardbackwardseekoffset",KEYBOARD_FORWARD_SEEK_OFFSET:"keyboardforwardseekoffset",KEYBOARD_DOWN_VOLUME_STEP:"keyboarddownvolumestep",KEYBOARD_UP_VOLUME_STEP:"keyboardupvolumestep",KEYS_USED:"keysused",LANG:"lang",LOOP:"loop",LIVE_EDGE_OFFSET:"liveedgeoffset",NO_AUTO_SEEK_TO_LIVE:"noautoseektolive",NO_DEFAULT_STORE:"nodefaultstore",NO_HOTKEYS:"nohotkeys",NO_MUTED_PREF:"nomutedpref",NO_SUBTITLES_LANG_PREF:"nosubtitleslangpref",NO_VOLUME_PREF:"novolumepref",SEEK_TO_LIVE_OFFSET:"seektoliveoffset"},Rn=class extends gt{constructor(){super(),le(this,Ya),le(this,Qa),le(this,Vi),le(this,Ln),this.mediaStateReceivers=[],this.associatedElementSubscriptions=new Map,le(this,Ge,new it(this,u.HOTKEYS)),le(this,Bi,void 0),le(this,M,void 0),le(this,de,null),le(this,Fi,void 0),le(this,ye,void 0),le(this,qa,i=>{var a;(a=p(this,M))==null||a.dispatch(i)}),le(this,$i,void 0),le(this,wt,i=>{let{key:a,shiftKey:r}=i;if(!(r&&(a==="/"||a==="?")||fl.includes(a))){this.removeEventListener("keyup",p(this,wt));return}this.keyboardShortcutHandler(i)}),this.associateElement(this);let e={};Ae(this,Fi,i=>{Object.entries(i).forEach(([a,r])=>{if(a in e&&e[a]===r)return;this.propagateMediaState(a,r);let n=a.toLowerCase(),o=new l.CustomEvent(ko[n],{composed:!0,detail:r});this.dispatchEvent(o)}),e=i})}static get observedAttributes(){return super.observedAttributes.concat(u.NO_HOTKEYS,u.HOTKEYS,u.DEFAULT_STREAM_TYPE,u.DEFAULT_SUBTITLES,u.DEFAULT_DURATION,u.NO_MUTED_PREF,u.NO_VOLUME_PREF,u.LANG,u.LOOP,u.LIVE_EDGE_OFFSET,u.SEEK_TO_LIVE_OFFSET,u.NO_AUTO_SEEK_TO_LIVE)}get mediaStore(){return p(this,M)}set mediaStore(e){var i,a;if(p(this,M)&&((i=p(this,ye))==null||i.call(this),Ae(this,ye,void 0)),Ae(this,M,e),!p(this,M)&&!this.hasAttribute(u.NO_DEFAULT_STORE)){at(this,Ya,wn).call(this);return}Ae(this,ye,(a=p(this,M))==null?void 0:a.subscribe(p(this,Fi)))}get fullscreenElement(){var e;return(e=p(this,Bi))!=null?e:this}set fullscreenElement(e){var i;this.hasAttribute(u.FULLSCREEN_ELEMENT)&&this.removeAttribute(u.FULLSCREEN_ELEMENT),Ae(this,Bi,e),(i=p(this,M))==null||i.dispatch({type:"fullscreenelementchangerequest",detail:this.fullscreenElement})}get defaultSubtitles(){return T(this,u.DEFAULT_SUBTITLES)}set defaultSubtitles(e){S(this,u.DEFAULT_SUBTITLES,e)}get defaultStreamType(){return R(this,u.DEFAULT_STREAM_TYPE)}set defaultStreamType(e){L(this,u.DEFAULT_STREAM_TYPE,e)}get defaultDuration(){return P(this,u.DEFAULT_DURATION)}set defaultDuration(e){N(this,u.DEFAULT_DURATION,e)}get noHotkeys(){return T(this,u.NO_HOTKEYS)}set noHotkeys(e){S(this,u.NO_HOTKEYS,e)}get keysUsed(){return R(this,u.KEYS_USED)}set keysUsed(e){L(this,u.KEYS_USED,e)}get liveEdgeOffset(){return P(this,u.LIVE_EDGE_OFFSET)}set liveEdgeOffset(e){N(this,u.LIVE_EDGE_OFFSET,e)}get noAutoSeekToLive(){return T(this,u.NO_AUTO_SEEK_TO_LIVE)}set noAutoSeekToLive(e){S(this,u.NO_AUTO_SEEK_TO_LIVE,e)}get noVolumePref(){return T(this,u.NO_VOLUME_PREF)}set noVolumePref(e){S(this,u.NO_VOLUME_PREF,e)}get noMutedPref(){return T(this,u.NO_MUTED_PREF)}set noMutedPref(e){S(this,u.NO_MUTED_PREF,e)}get noSubtitlesLangPref(){return T(this,u.NO_SUBTITLES_LANG_PREF)}set noSubtitlesLangPref(e){S(this,u.NO_SUBTITLES_LANG_PREF,e)}get noDefaultStore(){return T(this,u.NO_DEFAULT_STORE)}set noDefaultStore(e){S(this,u.NO_DEFAULT_STORE,e)}get resolvedLang(){return xo()}attributeChangedCallback(e,i,a){var r,n,o,d,c,_,k,A,f,m,b,E;if(super.attributeChangedCallback(e,i,a),e===u.NO_HOTKEYS)a!==i&&a===""?(this.hasAttribute(u.HOTKEYS)&&console.warn("Media Chrome: Both `hotkeys` and `nohotkeys` have been set. All hotkeys will be disabled."),this.disableHotkeys()):a!==i&&a===null&&this.enableHotkeys(),at(this,Vi,za).call(this);else if(e===u.HOTKEYS)p(this,Ge).value=a,at(this,Vi,za).call(this);else if(e===u.DEFAULT_SUBTITLES&&a!==i)(r=p(this,M))==null||r.dispatch({type:"optionschangerequest",detail:{defaultSubtitles:this.hasAttribute(u.DEFAULT_SUBTITLES)}});else if(e===u.DEFAULT_STREAM_TYPE)(o=p(this,M))==null||o.dispatch({type:"optionschangerequest",detail:{defaultStreamType:(n=this.getAttribute(u.DEFAULT_STREAM_TYPE))!=null?n:void 0}});else if(e===u.LIVE_EDGE_OFFSET&&a!==i)(d=p(this,M))==null||d.dispatch({type:"optionschangerequest",detail:{liveEdgeOffset:this.hasAttribute(u.LIVE_EDGE_OFFSET)?+this.getAttribute(u.LIVE_EDGE_OFFSET):void 0,seekToLiveOffset:this.hasAttribute(u.SEEK_TO_LIVE_OFFSET)?+this.getAttribute(u.SEEK_TO_LIVE_OFFSET):this.hasAttribute(u.LIVE_EDGE_OFFSET)?+this.getAttribute(u.LIVE_EDGE_OFFSET):void 0}});else if(e===u.SEEK_TO_LIVE_OFFSET&&a!==i)(c=p(this,M))==null||c.dispatch({type:"optionschangerequest",detail:{seekToLiveOffset:this.hasAttribute(u.SEEK_TO_LIVE_OFFSET)?+this.getAttribute(u.SEEK_TO_LIVE_OFFSET):this.hasAttribute(u.LIVE_EDGE_OFFSET)?+this.getAttribute(u.LIVE_EDGE_OFFSET):void 0}});else if(e===u.NO_AUTO_SEEK_TO_LIVE)(_=p(this,M))==null||_.dispatch({type:"optionschangerequest",detail:{noAutoSeekToLive:this.hasAttribute(u.NO_AUTO_SEEK_TO_LIVE)}});else if(e===u.FULLSCREEN_ELEMENT){let y=a?(k=this.getRootNode())==null?void 0:k.getElementById(a):void 0;Ae(this,Bi,y),(A=p(this,M))==null||A.dispatch({type:"fullscreenelementchangerequest",detail:this.fullscreenElement})}else e===u.LANG&&a!==i?(Co(a),(f=p(this,M))==null||f.dispatch({type:"optionschangerequest",detail:{mediaLang:a}})):e===u.LOOP&&a!==i?(m=p(this,M))==null||m.dispatch({type:h.MEDIA_LOOP_REQUEST,detail:a!=null}):e===u.NO_VOLUME_PREF&&a!==i?(b=p(this,M))==null||b.dispatch({type:"optionschangerequest",detail:{noVolumePref:this.hasAttribute(u.NO_VOLUME_PREF)}}):e===u.NO_MUTED_PREF&&a!==i&&((E=p(this,M))==null||E.dispatch({type:"optionschangerequest",detail:{noMutedPref:this.hasAttribute(u.NO_MUTED_PREF)}}))}connectedCallback(){var e,i,a;this.associateElement(this),!p(this,M)&&!this.hasAttribute(u.NO_DEFAULT_STORE)&&at(this,Ya,wn).call(this),(e=p(this,M))==null||e.dispatch({type:"documentelementchangerequest",detail:H}),(i=p(this,M))==null||i.dispatch({type:"fullscreenelementchangerequest",detail:this.fullscreenElement}),super.connectedCallback(),p(this,M)&&!p(this,ye)&&Ae(this,ye,(a=p(this,M))==null?void 0:a.subscribe(p(this,Fi))),p(this,$i)!==void 0&&p(this,M)&&this.media&&setTimeout(()=>{var r,n,o;(n=(r=this.media)==null?void 0:r.textTracks)!=null&&n.length&&((o=p(this,M))==null||o.dispatch({type:h.MEDIA_TOGGLE_SUBTITLES_REQUEST,detail:p(this,$i)}))},0),this.hasAttribute(u.NO_HOTKEYS)?this.disableHotkeys():this.enableHotkeys()}disconnectedCallback(){var e,i,a,r,n,o;if((e=super.disconnectedCallback)==null||e.call(this),this.disableHotkeys(),p(this,M)){let d=p(this,M).getState();Ae(this,$i,!!((i=d.mediaSubtitlesShowing)!=null&&i.length)),(a=p(this,M))==null||a.dispatch({type:"fullscreenelementchangerequest",detail:void 0}),(r=p(this,M))==null||r.dispatch({type:"documentelementchangerequest",detail:void 0}),(n=p(this,M))==null||n.dispatch({type:h.MEDIA_TOGGLE_SUBTITLES_REQUEST,detail:!1})}p(this,ye)&&((o=p(this,ye))==null||o.call(this),Ae(this,ye,void 0)),this.unassociateElement(this),p(this,de)&&(p(this,de).remove(),Ae(this,de,null))}mediaSetCallback(e){var i;super.mediaSetCallback(e),(i=p(this,M))==null||i.dispatch({type:"mediaelementchangerequest",detail:e}),e.hasAttribute("tabindex")||(e.tabIndex=-1)}mediaUnsetCallback(e){var i;super.mediaUnsetCallback(e),(i=p(this,M))==null||i.dispatch({type:"mediaelementchangerequest",detail:void 0})}propagateMediaState(e,i){vl(this.mediaStateReceivers,e,i)}associateElement(e){if(!e)return;let{associatedElementSubscriptions:i}=this;if(i.has(e))return;let a=this.registerMediaStateReceiver.bind(this),r=this.unregisterMediaStateReceiver.bind(this),n=Ec(e,a,r);Object.values(h).forEach(o=>{e.addEventListener(o,p(this,qa))}),i.set(e,n)}unassociateElement(e){if(!e)return;let{associatedElementSubscriptions:i}=this;if(!i.has(e))return;i.get(e)(),i.delete(e),Object.values(h).forEach(r=>{e.removeEventListener(r,p(this,qa))})}registerMediaStateReceiver(e){if(!e)return;let i=this.mediaStateReceivers;i.indexOf(e)>-1||(i.push(e),p(this,M)&&Object.entries(p(this,M).getState()).forEach(([r,n])=>{vl([e],r,n)}))}unregisterMediaStateReceiver(e){let i=this.mediaStateReceivers,a=i.indexOf(e);a<0||i.splice(a,1)}enableHotkeys(){this.addEventListener("keydown",at(this,Qa,Mn))}disableHotkeys(){this.removeEventListener("keydown",at(this,Qa,Mn)),this.removeEventListener("keyup",p(this,wt))}get hotkeys(){return p(this,Ge)}set hotkeys(e){L(this,u.HOTKEYS,e)}keyboardShortcutHandler(e){var i,a,r,n,o,d,c,_,k;let A=e.target;if(((r=(a=(i=A.getAttribute(u.KEYS_USED))==null?void 0:i.split(" "))!=null?a:A?.keysUsed)!=null?r:[]).map(I=>I==="Space"?" ":I).filter(Boolean).includes(e.key))return;let m,b,E;if(!(p(this,Ge).contains(Na(e.key))||e.shiftKey&&(e.key==="/"||e.key==="?")&&p(this,Ge).contains("noshift+/")))switch(e.key){case" ":case"k":m=p(this,M).getState().mediaPaused?h.MEDIA_PLAY_REQUEST:h.MEDIA_PAUSE_REQUEST,this.dispatchEvent(new l.CustomEvent(m,{composed:!0,bubbles:!0}));break;case"m":m=this.mediaStore.getState().mediaVolumeLevel==="off"?h.MEDIA_UNMUTE_REQUEST:h.MEDIA_MUTE_REQUEST,this.dispatchEvent(new l.CustomEvent(m,{composed:!0,bubbles:!0}));break;case"f":m=this.mediaStore.getState().mediaIsFullscreen?h.MEDIA_EXIT_FULLSCREEN_REQUEST:h.MEDIA_ENTER_FULLSCREEN_REQUEST,this.dispatchEvent(new l.CustomEvent(m,{composed:!0,bubbles:!0}));break;case"c":this.dispatchEvent(new l.CustomEvent(h.MEDIA_TOGGLE_SUBTITLES_REQUEST,{composed:!0,bubbles:!0}));break;case"ArrowLeft":case"j":{let I=this.hasAttribute(u.KEYBOARD_BACKWARD_SEEK_OFFSET)?+this.getAttribute(u.KEYBOARD_BACKWARD_SEEK_OFFSET):cl;b=Math.max(((n=this.mediaStore.getState().mediaCurrentTime)!=null?n:0)-I,0),E=new l.CustomEvent(h.MEDIA_SEEK_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case"ArrowRight":case"l":{let I=this.hasAttribute(u.KEYBOARD_FORWARD_SEEK_OFFSET)?+this.getAttribute(u.KEYBOARD_FORWARD_SEEK_OFFSET):cl;b=Math.max(((o=this.mediaStore.getState().mediaCurrentTime)!=null?o:0)+I,0),E=new l.CustomEvent(h.MEDIA_SEEK_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case"ArrowUp":{let I=this.hasAttribute(u.KEYBOARD_UP_VOLUME_STEP)?+this.getAttribute(u.KEYBOARD_UP_VOLUME_STEP):ul;b=Math.min(((d=this.mediaStore.getState().mediaVolume)!=null?d:1)+I,1),E=new l.CustomEvent(h.MEDIA_VOLUME_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case"ArrowDown":{let I=this.hasAttribute(u.KEYBOARD_DOWN_VOLUME_STEP)?+this.getAttribute(u.KEYBOARD_DOWN_VOLUME_STEP):ul;b=Math.max(((c=this.mediaStore.getState().mediaVolume)!=null?c:1)-I,0),E=new l.CustomEvent(h.MEDIA_VOLUME_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case"<":{let I=(_=this.mediaStore.getState().mediaPlaybackRate)!=null?_:1;b=Math.max(I-hl,dc).toFixed(2),E=new l.CustomEvent(h.MEDIA_PLAYBACK_RATE_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case">":{let I=(k=this.mediaStore.getState().mediaPlaybackRate)!=null?k:1;b=Math.min(I+hl,cc).toFixed(2),E=new l.CustomEvent(h.MEDIA_PLAYBACK_RATE_REQUEST,{composed:!0,bubbles:!0,detail:b}),this.dispatchEvent(E);break}case"/":case"?":{e.shiftKey&&at(this,Ln,El).call(this);break}case"p":{m=this.mediaStore.getState().mediaIsPip?h.MEDIA_EXIT_PIP_REQUEST:h.MEDIA_ENTER_PIP_REQUEST,E=new l.CustomEvent(m,{composed:!0,bubbles:!0}),this.dispatchEvent(E);break}default:break}}};Ge=new WeakMap;Bi=new WeakMap;M=new WeakMap;de=new WeakMap;Fi=new WeakMap;ye=new WeakMap;qa=new WeakMap;$i=new WeakMap;Ya=new WeakSet;wn=function(){var t;this.mediaStore=dl({media:this.media,fullscreenElement:this.fullscreenElement,options:{defaultSubtitles:this.hasAttribute(u.DEFAULT_SUBTITLES),defaultDuration:this.hasAttribute(u.DEFAULT_DURATION)?+this.getAttribute(u.DEFAULT_DURATION):void 0,defaultStreamType:(t=this.getAttribute(u.DEFAULT_STREAM_TYPE))!=null?t:void 0,liveEdgeOffset:this.hasAttribute(u.LIVE_EDGE_OFFSET)?+this.getAttribute(u.LIVE_EDGE_OFFSET):void 0,seekToLiveOffset:this.hasAttribute(u.SEEK_TO_LIVE_OFFSET)?+this.getAttribute(u.SEEK_TO_LIVE_OFFSET):this.hasAttribute(u.LIVE_EDGE_OFFSET)?+this.getAttribute(u.LIVE_EDGE_OFFSET):void 0,noAutoSeekToLive:this.hasAttribute(u.NO_AUTO_SEEK_TO_LIVE),noVolumePref:this.hasAttribute(u.NO_VOLUME_PREF),noMutedPref:this.hasAttribute(u.NO_MUTED_PREF),noSubtitlesLangPref:this.hasAttribute(u.NO_SUBTITLES_LANG_PREF)}})};wt=new WeakMap;Qa=new WeakSet;Mn=function(t){var e;let{metaKey:i,altKey:a,key:r,shiftKey:n}=t,o=n&&(r==="/"||r==="?");if(o&&((e=p(this,de))!=null&&e.open)){this.removeEventListener("keyup",p(this,wt));return}if(i||a||!o&&!fl.includes(r)){this.removeEventListener("keyup",p(this,wt));return}let d=t.target,c=d instanceof HTMLElement&&(d.tagName.toLowerCase()==="media-volume-range"||d.tagName.toLowerCase()==="media-time-range");[" ","ArrowLeft","ArrowRight","ArrowUp","ArrowDown"].includes(r)&&!p(this,Ge).contains(Na(r))&&!c&&t.preventDefault(),this.addEventListener("keyup",p(this,wt),{once:!0})};Vi=new WeakSet;za=function(){p(this,de)&&(p(this,de).hotkeys=p(this,Ge).value||void 0,(this.noHotkeys||p(this,Ge).contains("noshift+/"))&&(p(this,de).open=!1))};Ln=new WeakSet;El=function(){p(this,de)||(Ae(this,de,H.createElement("media-keyboard-shortcuts-dialog")),at(this,Vi,za).call(this),this.appendChild(p(this,de))),p(this,de).open=!0};var uc=Object.values(s),hc=Object.values(sn),gl=t=>{var e,i,a,r;let{observedAttributes:n}=t.constructor;!n&&((e=t.nodeName)!=null&&e.includes("-"))&&(l.customElements.upgrade(t),{observedAttributes:n}=t.constructor);let o=(r=(a=(i=t?.getAttribute)==null?void 0:i.call(t,w.MEDIA_CHROME_ATTRIBUTES))==null?void 0:a.split)==null?void 0:r.call(a,/\s+/);return Array.isArray(n||o)?(n||o).filter(d=>uc.includes(d)):[]},mc=t=>{var e,i;return(e=t.nodeName)!=null&&e.includes("-")&&l.customElements.get((i=t.nodeName)==null?void 0:i.toLowerCase())&&!(t instanceof l.customElements.get(t.nodeName.toLowerCase()))&&l.customElements.upgrade(t),hc.some(a=>a in t)},Dn=t=>mc(t)||!!gl(t).length,ml=t=>{var e;return(e=t?.join)==null?void 0:e.call(t,":")},pl={[s.MEDIA_SUBTITLES_LIST]:St,[s.MEDIA_SUBTITLES_SHOWING]:St,[s.MEDIA_SEEKABLE]:ml,[s.MEDIA_BUFFERED]:t=>t?.map(ml).join(" "),[s.MEDIA_PREVIEW_COORDS]:t=>t?.join(" "),[s.MEDIA_RENDITION_LIST]:Go,[s.MEDIA_AUDIO_TRACK_LIST]:Yo},pc=async(t,e,i)=>{var a,r;if(t.isConnected||await Ba(0),typeof i=="boolean"||i==null)return S(t,e,i);if(typeof i=="number")return N(t,e,i);if(typeof i=="string")return L(t,e,i);if(Array.isArray(i)&&!i.length)return t.removeAttribute(e);let n=(r=(a=pl[e])==null?void 0:a.call(pl,i))!=null?r:i;return t.setAttribute(e,n)},vc=t=>{var e;return!!((e=t.closest)!=null&&e.call(t,'*[slot="media"]'))},yt=(t,e)=>{if(vc(t))return;let i=(r,n)=>{var o,d;Dn(r)&&n(r);let{children:c=[]}=r??{},_=(d=(o=r?.shadowRoot)==null?void 0:o.children)!=null?d:[];[...c,..._].forEach(A=>yt(A,n))},a=t?.nodeName.toLowerCase();if(a.includes("-")&&!Dn(t)){l.customElements.whenDefined(a).then(()=>{i(t,e)});return}i(t,e)},vl=(t,e,i)=>{t.forEach(a=>{if(e in a){a[e]=i;return}let r=gl(a),n=e.toLowerCase();r.includes(n)&&pc(a,n,i)})},Ec=(t,e,i)=>{yt(t,e);let a=k=>{var A;let f=(A=k?.composedPath()[0])!=null?A:k.target;e(f)},r=k=>{var A;let f=(A=k?.composedPath()[0])!=null?A:k.target;i(f)};t.addEventListener(h.REGISTER_MEDIA_STATE_RECEIVER,a),t.addEventListener(h.UNREGISTER_MEDIA_STATE_RECEIVER,r);let n=k=>{k.forEach(A=>{let{addedNodes:f=[],removedNodes:m=[],type:b,target:E,attributeName:y}=A;b==="childList"?(Array.prototype.forEach.call(f,I=>yt(I,e)),Array.prototype.forEach.call(m,I=>yt(I,i))):b==="attributes"&&y===w.MEDIA_CHROME_ATTRIBUTES&&(Dn(E)?e(E):i(E))})},o=[],d=k=>{let A=k.target;A.name!=="media"&&(o.forEach(f=>yt(f,i)),o=[...A.assignedElements({flatten:!0})],o.forEach(f=>yt(f,e)))};t.addEventListener("slotchange",d);let c=new MutationObserver(n);return c.observe(t,{childList:!0,attributes:!0,subtree:!0}),()=>{yt(t,i),t.removeEventListener("slotchange",d),c.disconnect(),t.removeEventListener(h.REGISTER_MEDIA_STATE_RECEIVER,a),t.removeEventListener(h.UNREGISTER_MEDIA_STATE_RECEIVER,r)}};l.customElements.get("media-controller")||l.customElements.define("media-controller",Rn);var jt={PLACEMENT:"placement",BOUNDS:"bounds"};function fc(t){return`
    <style>
      :host {
        --_tooltip-background-color: var(--media-tooltip-background-color, var(--media-secondary-color, rgba(20, 20, 30, .7)));
        --_tooltip-background: var(--media-tooltip-background, var(--_tooltip-background-color));
        --_tooltip-arrow-half-width: calc(var(--media-tooltip-arrow-width, 12px) / 2);
        --_tooltip-arrow-height: var(--media-tooltip-arrow-height, 5px);
        --_tooltip-arrow-background: var(--media-tooltip-arrow-color, var(--_tooltip-background-color));
        position: relative;
        pointer-events: none;
        display: var(--media-tooltip-display, inline-flex);
        justify-content: center;
        align-items: center;
        box-sizing: border-box;
        z-index: var(--media-tooltip-z-index, 1);
        background: var(--_tooltip-background);
        color: var(--media-text-color, var(--media-primary-color, rgb(238 238 238)));
        font: var(--media-font,
          var(--media-font-weight, 400)
          var(--media-font-size, 13px) /
          var(--media-text-content-height, var(--media-control-height, 18px))
          var(--media-font-family, helvetica neue, segoe ui, roboto, arial, sans-serif));
        padding: var(--media-tooltip-padding, .35em .7em);
        border: var(--media-tooltip-border, none);
        border-radius: var(--media-tooltip-border-radius, 5px);
        filter: var(--media-tooltip-filter, drop-shadow(0 0 4px rgba(0, 0, 0, .2)));
        white-space: var(--media-tooltip-white-space, nowrap);
      }

      :host([hidden]) {
        display: none;
      }

      img, svg {
        display: inline-block;
      }

      #arrow {
        position: absolute;
        width: 0px;
        height: 0px;
        border-style: solid;
        display: var(--media-tooltip-arrow-display, block);
      }

      :host(:not([placement])),
      :host([placement="top"]) {
        position: absolute;
        bottom: calc(100% + var(--media-tooltip-distance, 12px));
        left: 50%;
        transform: translate(calc(-50% - var(--media-tooltip-offset-x, 0px)), 0);
      }
      :host(:not([placement])) #arrow,
      :host([placement="top"]) #arrow {
        top: 100%;
        left: 50%;
        border-width: var(--_tooltip-arrow-height) var(--_tooltip-arrow-half-width) 0 var(--_tooltip-arrow-half-width);
        border-color: var(--_tooltip-arrow-background) transparent transparent transparent;
        transform: translate(calc(-50% + var(--media-tooltip-offset-x, 0px)), 0);
      }

      :host([placement="right"]) {
        position: absolute;
        left: calc(100% + var(--media-tooltip-distance, 12px));
        top: 50%;
        transform: translate(0, -50%);
      }
      :host([placement="right"]) #arrow {
        top: 50%;
        right: 100%;
        border-width: var(--_tooltip-arrow-half-width) var(--_tooltip-arrow-height) var(--_tooltip-arrow-half-width) 0;
        border-color: transparent var(--_tooltip-arrow-background) transparent transparent;
        transform: translate(0, -50%);
      }

      :host([placement="bottom"]) {
        position: absolute;
        top: calc(100% + var(--media-tooltip-distance, 12px));
        left: 50%;
        transform: translate(calc(-50% - var(--media-tooltip-offset-x, 0px)), 0);
      }
      :host([placement="bottom"]) #arrow {
        bottom: 100%;
        left: 50%;
        border-width: 0 var(--_tooltip-arrow-half-width) var(--_tooltip-arrow-height) var(--_tooltip-arrow-half-width);
        border-color: transparent transparent var(--_tooltip-arrow-background) transparent;
        transform: translate(calc(-50% + var(--media-tooltip-offset-x, 0px)), 0);
      }

      :host([placement="left"]) {
        position: absolute;
        right: calc(100% + var(--media-tooltip-distance, 12px));
        top: 50%;
        transform: translate(0, -50%);
      }
      :host([placement="left"]) #arrow {
        top: 50%;
        left: 100%;
        border-width: var(--_tooltip-arrow-half-width) 0 var(--_tooltip-arrow-half-width) var(--_tooltip-arrow-height);
        border-color: transparent transparent transparent var(--_tooltip-arrow-background);
        transform: translate(0, -50%);
      }
      
      :host([placement="none"]) #arrow {
        display: none;
      }
    </style>
    <slot></slot>
    <div id="arrow"></div>
  `}var ei=class extends l.HTMLElement{constructor(){if(super(),this.updateXOffset=()=>{var e;if(!wa(this,{checkOpacity:!1,checkVisibilityCSS:!1}))return;let i=this.placement;if(i==="left"||i==="right"){this.style.removeProperty("--media-tooltip-offset-x");return}let a=getComputedStyle(this),r=(e=Ie(this,"#"+this.bounds))!=null?e:j(this);if(!r)return;let{x:n,width:o}=r.getBoundingClientRect(),{x:d,width:c}=this.getBoundingClientRect(),_=d+c,k=n+o,A=a.getPropertyValue("--media-tooltip-offset-x"),f=A?parseFloat(A.replace("px","")):0,m=a.getPropertyValue("--media-tooltip-container-margin"),b=m?parseFloat(m.replace("px","")):0,E=d-n+f-b,y=_-k+f+b;if(E<0){this.style.setProperty("--media-tooltip-offset-x",`${E}px`);return}if(y>0){this.style.setProperty("--media-tooltip-offset-x",`${y}px`);return}this.style.removeProperty("--media-tooltip-offset-x")},!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}if(this.arrowEl=this.shadowRoot.querySelector("#arrow"),Object.prototype.hasOwnProperty.call(this,"placement")){let e=this.placement;delete this.placement,this.placement=e}}static get observedAttributes(){return[jt.PLACEMENT,jt.BOUNDS]}get placement(){return R(this,jt.PLACEMENT)}set placement(e){L(this,jt.PLACEMENT,e)}get bounds(){return R(this,jt.BOUNDS)}set bounds(e){L(this,jt.BOUNDS,e)}};ei.shadowRootOptions={mode:"open"};ei.getTemplateHTML=fc;l.customElements.get("media-tooltip")||l.customElements.define("media-tooltip",ei);var xn=ei;var Pn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},G=(t,e,i)=>(Pn(t,e,"read from private field"),i?i.call(t):e.get(t)),Mt=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Za=(t,e,i,a)=>(Pn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),_l=(t,e,i)=>(Pn(t,e,"access private method"),i),we,ii,Un,bl,nt,ti,Xa,On,Al,rt={TOOLTIP_PLACEMENT:"tooltipplacement",DISABLED:"disabled",NO_TOOLTIP:"notooltip"};function gc(t,e={}){return`
    <style>
      :host {
        position: relative;
        font: var(--media-font,
          var(--media-font-weight, bold)
          var(--media-font-size, 14px) /
          var(--media-text-content-height, var(--media-control-height, 24px))
          var(--media-font-family, helvetica neue, segoe ui, roboto, arial, sans-serif));
        color: var(--media-text-color, var(--media-primary-color, rgb(238 238 238)));
        background: var(--media-control-background, var(--media-secondary-color, rgb(20 20 30 / .7)));
        padding: var(--media-button-padding, var(--media-control-padding, 10px));
        justify-content: var(--media-button-justify-content, center);
        display: inline-flex;
        align-items: center;
        vertical-align: middle;
        box-sizing: border-box;
        transition: background .15s linear;
        pointer-events: auto;
        cursor: var(--media-cursor, pointer);
        -webkit-tap-highlight-color: transparent;
      }

      
      :host(:focus-visible) {
        box-shadow: var(--media-focus-box-shadow, inset 0 0 0 2px rgb(27 127 204 / .9));
        outline: 0;
      }
      
      :host(:where(:focus)) {
        box-shadow: none;
        outline: 0;
      }

      :host(:hover) {
        background: var(--media-control-hover-background, rgba(50 50 70 / .7));
      }

      slot[name="icon"] {
        display: inline-flex;
        align-items: center;
      }

      svg, img, ::slotted(svg), ::slotted(img) {
        width: var(--media-button-icon-width);
        height: var(--media-button-icon-height, var(--media-control-height, 24px));
        transform: var(--media-button-icon-transform);
        transition: var(--media-button-icon-transition);
        fill: var(--media-icon-color, var(--media-primary-color, rgb(238 238 238)));
        vertical-align: middle;
        max-width: 100%;
        max-height: 100%;
        min-width: 100%;
      }

      media-tooltip {
        
        max-width: 0;
        overflow-x: clip;
        opacity: 0;
        transition: opacity .3s, max-width 0s 9s;
      }

      :host(:hover) media-tooltip,
      :host(:focus-visible) media-tooltip {
        max-width: 100vw;
        opacity: 1;
        transition: opacity .3s;
      }

      :host([notooltip]) slot[name="tooltip"] {
        display: none;
      }
    </style>

    ${this.getSlotTemplateHTML(t,e)}

    <slot name="tooltip">
      <media-tooltip part="tooltip" aria-hidden="true">
        <template shadowrootmode="${xn.shadowRootOptions.mode}">
          ${xn.getTemplateHTML({})}
        </template>
        <slot name="tooltip-content">
          ${this.getTooltipContentHTML(t)}
        </slot>
      </media-tooltip>
    </slot>
  `}function _c(t,e){return`
    <slot></slot>
  `}function bc(){return""}var q=class extends l.HTMLElement{constructor(){if(super(),Mt(this,Un),Mt(this,On),Mt(this,we,void 0),this.preventClick=!1,this.tooltipEl=null,Mt(this,ii,e=>{this.preventClick||this.handleClick(e),setTimeout(G(this,nt),0)}),Mt(this,nt,()=>{var e,i;(i=(e=this.tooltipEl)==null?void 0:e.updateXOffset)==null||i.call(e)}),Mt(this,ti,e=>{let{key:i}=e;if(!this.keysUsed.includes(i)){this.removeEventListener("keyup",G(this,ti));return}this.preventClick||this.handleClick(e)}),Mt(this,Xa,e=>{let{metaKey:i,altKey:a,key:r}=e;if(i||a||!this.keysUsed.includes(r)){this.removeEventListener("keyup",G(this,ti));return}this.addEventListener("keyup",G(this,ti),{once:!0})}),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes),i=this.constructor.getTemplateHTML(e);this.shadowRoot.setHTMLUnsafe?this.shadowRoot.setHTMLUnsafe(i):this.shadowRoot.innerHTML=i}this.tooltipEl=this.shadowRoot.querySelector("media-tooltip")}static get observedAttributes(){return["disabled",rt.TOOLTIP_PLACEMENT,w.MEDIA_CONTROLLER,s.MEDIA_LANG]}enable(){this.addEventListener("click",G(this,ii)),this.addEventListener("keydown",G(this,Xa)),this.tabIndex=0}disable(){this.removeEventListener("click",G(this,ii)),this.removeEventListener("keydown",G(this,Xa)),this.removeEventListener("keyup",G(this,ti)),this.tabIndex=-1}attributeChangedCallback(e,i,a){var r,n,o,d,c;e===w.MEDIA_CONTROLLER?(i&&((n=(r=G(this,we))==null?void 0:r.unassociateElement)==null||n.call(r,this),Za(this,we,null)),a&&this.isConnected&&(Za(this,we,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=G(this,we))==null?void 0:d.associateElement)==null||c.call(d,this))):e==="disabled"&&a!==i?a==null?this.enable():this.disable():e===rt.TOOLTIP_PLACEMENT&&this.tooltipEl&&a!==i?this.tooltipEl.placement=a:e===s.MEDIA_LANG&&(this.shadowRoot.querySelector('slot[name="tooltip-content"]').innerHTML=this.constructor.getTooltipContentHTML()),_l(this,Un,bl).call(this)&&G(this,nt).call(this)}connectedCallback(){var e,i,a;let{style:r}=O(this.shadowRoot,":host");r.setProperty("display",`var(--media-control-display, var(--${this.localName}-display, inline-flex))`),this.hasAttribute("disabled")?this.disable():this.enable(),this.setAttribute("role","button");let n=this.getAttribute(w.MEDIA_CONTROLLER);n&&(Za(this,we,(e=this.getRootNode())==null?void 0:e.getElementById(n)),(a=(i=G(this,we))==null?void 0:i.associateElement)==null||a.call(i,this)),l.customElements.whenDefined("media-tooltip").then(()=>_l(this,On,Al).call(this))}disconnectedCallback(){var e,i;this.disable(),(i=(e=G(this,we))==null?void 0:e.unassociateElement)==null||i.call(e,this),Za(this,we,null),this.removeEventListener("mouseenter",G(this,nt)),this.removeEventListener("focus",G(this,nt)),this.removeEventListener("click",G(this,ii))}get keysUsed(){return["Enter"," "]}get tooltipPlacement(){return R(this,rt.TOOLTIP_PLACEMENT)}set tooltipPlacement(e){L(this,rt.TOOLTIP_PLACEMENT,e)}get mediaController(){return R(this,w.MEDIA_CONTROLLER)}set mediaController(e){L(this,w.MEDIA_CONTROLLER,e)}get disabled(){return T(this,rt.DISABLED)}set disabled(e){S(this,rt.DISABLED,e)}get noTooltip(){return T(this,rt.NO_TOOLTIP)}set noTooltip(e){S(this,rt.NO_TOOLTIP,e)}handleClick(e){}};we=new WeakMap;ii=new WeakMap;Un=new WeakSet;bl=function(){try{return this.matches(":hover, :focus-visible")}catch{return this.matches(":hover, :focus")}};nt=new WeakMap;ti=new WeakMap;Xa=new WeakMap;On=new WeakSet;Al=function(){this.addEventListener("mouseenter",G(this,nt)),this.addEventListener("focus",G(this,nt)),this.addEventListener("click",G(this,ii));let t=this.tooltipPlacement;t&&this.tooltipEl&&(this.tooltipEl.placement=t)};q.shadowRootOptions={mode:"open"};q.getTemplateHTML=gc;q.getSlotTemplateHTML=_c;q.getTooltipContentHTML=bc;l.customElements.get("media-chrome-button")||l.customElements.define("media-chrome-button",q);var Sl=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Ac=(t,e,i)=>(Sl(t,e,"read from private field"),i?i.call(t):e.get(t)),Tc=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Sc=(t,e,i,a)=>(Sl(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Ja,kc=`<svg aria-hidden="true" viewBox="0 0 26 24">
  <path d="M16 3v2.5h3.5V9H22V3h-6ZM4 9h2.5V5.5H10V3H4v6Zm15.5 9.5H16V21h6v-6h-2.5v3.5ZM6.5 15H4v6h6v-2.5H6.5V15Z"/>
</svg>`,Ic=`<svg aria-hidden="true" viewBox="0 0 26 24">
  <path d="M18.5 6.5V3H16v6h6V6.5h-3.5ZM16 21h2.5v-3.5H22V15h-6v6ZM4 17.5h3.5V21H10v-6H4v2.5Zm3.5-11H4V9h6V3H7.5v3.5Z"/>
</svg>`;function yc(t){return`
    <style>
      :host([${s.MEDIA_IS_FULLSCREEN}]) slot[name=icon] slot:not([name=exit]) {
        display: none !important;
      }

      
      :host(:not([${s.MEDIA_IS_FULLSCREEN}])) slot[name=icon] slot:not([name=enter]) {
        display: none !important;
      }

      :host([${s.MEDIA_IS_FULLSCREEN}]) slot[name=tooltip-enter],
      :host(:not([${s.MEDIA_IS_FULLSCREEN}])) slot[name=tooltip-exit] {
        display: none;
      }
    </style>

    <slot name="icon">
      <slot name="enter">${kc}</slot>
      <slot name="exit">${Ic}</slot>
    </slot>
  `}function wc(){return`
    <slot name="tooltip-enter">${v("Enter fullscreen mode")}</slot>
    <slot name="tooltip-exit">${v("Exit fullscreen mode")}</slot>
  `}var Tl=t=>{let e=t.mediaIsFullscreen?v("exit fullscreen mode"):v("enter fullscreen mode");t.setAttribute("aria-label",e)},Ki=class extends q{constructor(){super(...arguments),Tc(this,Ja,null)}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_IS_FULLSCREEN,s.MEDIA_FULLSCREEN_UNAVAILABLE]}connectedCallback(){super.connectedCallback(),Tl(this)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_IS_FULLSCREEN&&Tl(this)}get mediaFullscreenUnavailable(){return R(this,s.MEDIA_FULLSCREEN_UNAVAILABLE)}set mediaFullscreenUnavailable(e){L(this,s.MEDIA_FULLSCREEN_UNAVAILABLE,e)}get mediaIsFullscreen(){return T(this,s.MEDIA_IS_FULLSCREEN)}set mediaIsFullscreen(e){S(this,s.MEDIA_IS_FULLSCREEN,e)}handleClick(e){Sc(this,Ja,e);let i=Ac(this,Ja)instanceof PointerEvent,a=this.mediaIsFullscreen?new l.CustomEvent(h.MEDIA_EXIT_FULLSCREEN_REQUEST,{composed:!0,bubbles:!0}):new l.CustomEvent(h.MEDIA_ENTER_FULLSCREEN_REQUEST,{composed:!0,bubbles:!0,detail:i});this.dispatchEvent(a)}};Ja=new WeakMap;Ki.getSlotTemplateHTML=yc;Ki.getTooltipContentHTML=wc;l.customElements.get("media-fullscreen-button")||l.customElements.define("media-fullscreen-button",Ki);var Il=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Gi=(t,e,i)=>(Il(t,e,"read from private field"),i?i.call(t):e.get(t)),kl=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},qi=(t,e,i,a)=>(Il(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Me,er,ja={LOADING_DELAY:"loadingdelay",NO_AUTOHIDE:"noautohide"},yl=500,Mc=`
<svg aria-hidden="true" viewBox="0 0 100 100">
  <path d="M73,50c0-12.7-10.3-23-23-23S27,37.3,27,50 M30.9,50c0-10.5,8.5-19.1,19.1-19.1S69.1,39.5,69.1,50">
    <animateTransform
       attributeName="transform"
       attributeType="XML"
       type="rotate"
       dur="1s"
       from="0 50 50"
       to="360 50 50"
       repeatCount="indefinite" />
  </path>
</svg>
`;function Lc(t){return`
    <style>
      :host {
        display: var(--media-control-display, var(--media-loading-indicator-display, inline-block));
        vertical-align: middle;
        box-sizing: border-box;
        --_loading-indicator-delay: var(--media-loading-indicator-transition-delay, ${yl}ms);
      }

      #status {
        color: rgba(0,0,0,0);
        width: 0px;
        height: 0px;
      }

      :host slot[name=icon] > *,
      :host ::slotted([slot=icon]) {
        opacity: var(--media-loading-indicator-opacity, 0);
        transition: opacity 0.15s;
      }

      :host([${s.MEDIA_LOADING}]:not([${s.MEDIA_PAUSED}])) slot[name=icon] > *,
      :host([${s.MEDIA_LOADING}]:not([${s.MEDIA_PAUSED}])) ::slotted([slot=icon]) {
        opacity: var(--media-loading-indicator-opacity, 1);
        transition: opacity 0.15s var(--_loading-indicator-delay);
      }

      :host #status {
        visibility: var(--media-loading-indicator-opacity, hidden);
        transition: visibility 0.15s;
      }

      :host([${s.MEDIA_LOADING}]:not([${s.MEDIA_PAUSED}])) #status {
        visibility: var(--media-loading-indicator-opacity, visible);
        transition: visibility 0.15s var(--_loading-indicator-delay);
      }

      svg, img, ::slotted(svg), ::slotted(img) {
        width: var(--media-loading-indicator-icon-width);
        height: var(--media-loading-indicator-icon-height, 100px);
        fill: var(--media-icon-color, var(--media-primary-color, rgb(238 238 238)));
        vertical-align: middle;
      }
    </style>

    <slot name="icon">${Mc}</slot>
    <div id="status" role="status" aria-live="polite">${v("media loading")}</div>
  `}var Yi=class extends l.HTMLElement{constructor(){if(super(),kl(this,Me,void 0),kl(this,er,yl),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}}static get observedAttributes(){return[w.MEDIA_CONTROLLER,s.MEDIA_PAUSED,s.MEDIA_LOADING,ja.LOADING_DELAY]}attributeChangedCallback(e,i,a){var r,n,o,d,c;e===ja.LOADING_DELAY&&i!==a?this.loadingDelay=Number(a):e===w.MEDIA_CONTROLLER&&(i&&((n=(r=Gi(this,Me))==null?void 0:r.unassociateElement)==null||n.call(r,this),qi(this,Me,null)),a&&this.isConnected&&(qi(this,Me,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=Gi(this,Me))==null?void 0:d.associateElement)==null||c.call(d,this)))}connectedCallback(){var e,i,a;let r=this.getAttribute(w.MEDIA_CONTROLLER);r&&(qi(this,Me,(e=this.getRootNode())==null?void 0:e.getElementById(r)),(a=(i=Gi(this,Me))==null?void 0:i.associateElement)==null||a.call(i,this))}disconnectedCallback(){var e,i;(i=(e=Gi(this,Me))==null?void 0:e.unassociateElement)==null||i.call(e,this),qi(this,Me,null)}get loadingDelay(){return Gi(this,er)}set loadingDelay(e){qi(this,er,e);let{style:i}=O(this.shadowRoot,":host");i.setProperty("--_loading-indicator-delay",`var(--media-loading-indicator-transition-delay, ${e}ms)`)}get mediaPaused(){return T(this,s.MEDIA_PAUSED)}set mediaPaused(e){S(this,s.MEDIA_PAUSED,e)}get mediaLoading(){return T(this,s.MEDIA_LOADING)}set mediaLoading(e){S(this,s.MEDIA_LOADING,e)}get mediaController(){return R(this,w.MEDIA_CONTROLLER)}set mediaController(e){L(this,w.MEDIA_CONTROLLER,e)}get noAutohide(){return T(this,ja.NO_AUTOHIDE)}set noAutohide(e){S(this,ja.NO_AUTOHIDE,e)}};Me=new WeakMap;er=new WeakMap;Yi.shadowRootOptions={mode:"open"};Yi.getTemplateHTML=Lc;l.customElements.get("media-loading-indicator")||l.customElements.define("media-loading-indicator",Yi);var Rc=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="M16.5 12A4.5 4.5 0 0 0 14 8v2.18l2.45 2.45a4.22 4.22 0 0 0 .05-.63Zm2.5 0a6.84 6.84 0 0 1-.54 2.64L20 16.15A8.8 8.8 0 0 0 21 12a9 9 0 0 0-7-8.77v2.06A7 7 0 0 1 19 12ZM4.27 3 3 4.27 7.73 9H3v6h4l5 5v-6.73l4.25 4.25A6.92 6.92 0 0 1 14 18.7v2.06A9 9 0 0 0 17.69 19l2 2.05L21 19.73l-9-9L4.27 3ZM12 4 9.91 6.09 12 8.18V4Z"/>
</svg>`,wl=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="M3 9v6h4l5 5V4L7 9H3Zm13.5 3A4.5 4.5 0 0 0 14 8v8a4.47 4.47 0 0 0 2.5-4Z"/>
</svg>`,Dc=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="M3 9v6h4l5 5V4L7 9H3Zm13.5 3A4.5 4.5 0 0 0 14 8v8a4.47 4.47 0 0 0 2.5-4ZM14 3.23v2.06a7 7 0 0 1 0 13.42v2.06a9 9 0 0 0 0-17.54Z"/>
</svg>`;function Cc(t){return`
    <style>
      :host(:not([${s.MEDIA_VOLUME_LEVEL}])) slot[name=icon] slot:not([name=high]),
      :host([${s.MEDIA_VOLUME_LEVEL}=high]) slot[name=icon] slot:not([name=high]) {
        display: none !important;
      }

      :host([${s.MEDIA_VOLUME_LEVEL}=off]) slot[name=icon] slot:not([name=off]) {
        display: none !important;
      }

      :host([${s.MEDIA_VOLUME_LEVEL}=low]) slot[name=icon] slot:not([name=low]) {
        display: none !important;
      }

      :host([${s.MEDIA_VOLUME_LEVEL}=medium]) slot[name=icon] slot:not([name=medium]) {
        display: none !important;
      }

      :host(:not([${s.MEDIA_VOLUME_LEVEL}=off])) slot[name=tooltip-unmute],
      :host([${s.MEDIA_VOLUME_LEVEL}=off]) slot[name=tooltip-mute] {
        display: none;
      }
    </style>

    <slot name="icon">
      <slot name="off">${Rc}</slot>
      <slot name="low">${wl}</slot>
      <slot name="medium">${wl}</slot>
      <slot name="high">${Dc}</slot>
    </slot>
  `}function xc(){return`
    <slot name="tooltip-mute">${v("Mute")}</slot>
    <slot name="tooltip-unmute">${v("Unmute")}</slot>
  `}var Ml=t=>{let i=t.mediaVolumeLevel==="off"?v("unmute"):v("mute");t.setAttribute("aria-label",i)},Qi=class extends q{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_VOLUME_LEVEL]}connectedCallback(){super.connectedCallback(),Ml(this)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_VOLUME_LEVEL&&Ml(this)}get mediaVolumeLevel(){return R(this,s.MEDIA_VOLUME_LEVEL)}set mediaVolumeLevel(e){L(this,s.MEDIA_VOLUME_LEVEL,e)}handleClick(){let e=this.mediaVolumeLevel==="off"?h.MEDIA_UNMUTE_REQUEST:h.MEDIA_MUTE_REQUEST;this.dispatchEvent(new l.CustomEvent(e,{composed:!0,bubbles:!0}))}};Qi.getSlotTemplateHTML=Cc;Qi.getTooltipContentHTML=xc;l.customElements.get("media-mute-button")||l.customElements.define("media-mute-button",Qi);var Ll=`<svg aria-hidden="true" viewBox="0 0 28 24">
  <path d="M24 3H4a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h20a1 1 0 0 0 1-1V4a1 1 0 0 0-1-1Zm-1 16H5V5h18v14Zm-3-8h-7v5h7v-5Z"/>
</svg>`;function Uc(t){return`
    <style>
      :host([${s.MEDIA_IS_PIP}]) slot[name=icon] slot:not([name=exit]) {
        display: none !important;
      }

      :host(:not([${s.MEDIA_IS_PIP}])) slot[name=icon] slot:not([name=enter]) {
        display: none !important;
      }

      :host([${s.MEDIA_IS_PIP}]) slot[name=tooltip-enter],
      :host(:not([${s.MEDIA_IS_PIP}])) slot[name=tooltip-exit] {
        display: none;
      }
    </style>

    <slot name="icon">
      <slot name="enter">${Ll}</slot>
      <slot name="exit">${Ll}</slot>
    </slot>
  `}function Oc(){return`
    <slot name="tooltip-enter">${v("Enter picture in picture mode")}</slot>
    <slot name="tooltip-exit">${v("Exit picture in picture mode")}</slot>
  `}var Rl=t=>{let e=t.mediaIsPip?v("exit picture in picture mode"):v("enter picture in picture mode");t.setAttribute("aria-label",e)},zi=class extends q{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_IS_PIP,s.MEDIA_PIP_UNAVAILABLE]}connectedCallback(){super.connectedCallback(),Rl(this)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_IS_PIP&&Rl(this)}get mediaPipUnavailable(){return R(this,s.MEDIA_PIP_UNAVAILABLE)}set mediaPipUnavailable(e){L(this,s.MEDIA_PIP_UNAVAILABLE,e)}get mediaIsPip(){return T(this,s.MEDIA_IS_PIP)}set mediaIsPip(e){S(this,s.MEDIA_IS_PIP,e)}handleClick(){let e=this.mediaIsPip?h.MEDIA_EXIT_PIP_REQUEST:h.MEDIA_ENTER_PIP_REQUEST;this.dispatchEvent(new l.CustomEvent(e,{composed:!0,bubbles:!0}))}};zi.getSlotTemplateHTML=Uc;zi.getTooltipContentHTML=Oc;l.customElements.get("media-pip-button")||l.customElements.define("media-pip-button",zi);var Pc=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="m6 21 15-9L6 3v18Z"/>
</svg>`,Nc=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="M6 20h4V4H6v16Zm8-16v16h4V4h-4Z"/>
</svg>`;function Hc(t){return`
    <style>
      :host([${s.MEDIA_PAUSED}]) slot[name=pause],
      :host(:not([${s.MEDIA_PAUSED}])) slot[name=play] {
        display: none !important;
      }

      :host([${s.MEDIA_PAUSED}]) slot[name=tooltip-pause],
      :host(:not([${s.MEDIA_PAUSED}])) slot[name=tooltip-play] {
        display: none;
      }
    </style>

    <slot name="icon">
      <slot name="play">${Pc}</slot>
      <slot name="pause">${Nc}</slot>
    </slot>
  `}function Wc(){return`
    <slot name="tooltip-play">${v("Play")}</slot>
    <slot name="tooltip-pause">${v("Pause")}</slot>
  `}var Dl=t=>{let e=t.mediaPaused?v("play"):v("pause");t.setAttribute("aria-label",e)},Zi=class extends q{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PAUSED,s.MEDIA_ENDED]}connectedCallback(){super.connectedCallback(),Dl(this)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),(e===s.MEDIA_PAUSED||e===s.MEDIA_LANG)&&Dl(this)}get mediaPaused(){return T(this,s.MEDIA_PAUSED)}set mediaPaused(e){S(this,s.MEDIA_PAUSED,e)}handleClick(){let e=this.mediaPaused?h.MEDIA_PLAY_REQUEST:h.MEDIA_PAUSE_REQUEST;this.dispatchEvent(new l.CustomEvent(e,{composed:!0,bubbles:!0}))}};Zi.getSlotTemplateHTML=Hc;Zi.getTooltipContentHTML=Wc;l.customElements.get("media-play-button")||l.customElements.define("media-play-button",Zi);var Cl=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},tr=(t,e,i)=>(Cl(t,e,"read from private field"),i?i.call(t):e.get(t)),Bc=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},ir=(t,e,i,a)=>(Cl(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Le;function Fc(t,e={}){return`
    <style>
      :host {
        font: var(--media-font,
          var(--media-font-weight, normal)
          var(--media-font-size, 14px) /
          var(--media-text-content-height, var(--media-control-height, 24px))
          var(--media-font-family, helvetica neue, segoe ui, roboto, arial, sans-serif));
        color: var(--media-text-color, var(--media-primary-color, rgb(238 238 238)));
        background: var(--media-text-background, var(--media-control-background, var(--media-secondary-color, rgb(20 20 30 / .7))));
        padding: var(--media-control-padding, 10px);
        display: inline-flex;
        justify-content: center;
        align-items: center;
        vertical-align: middle;
        box-sizing: border-box;
        text-align: center;
        pointer-events: auto;
      }

      
      :host(:focus-visible) {
        box-shadow: var(--media-focus-box-shadow, inset 0 0 0 2px rgb(27 127 204 / .9));
        outline: 0;
      }

      
      :host(:where(:focus)) {
        box-shadow: none;
        outline: 0;
      }
    </style>

    ${this.getSlotTemplateHTML(t,e)}
  `}function $c(t,e){return`
    <slot></slot>
  `}var ue=class extends l.HTMLElement{constructor(){if(super(),Bc(this,Le,void 0),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}}static get observedAttributes(){return[w.MEDIA_CONTROLLER]}attributeChangedCallback(e,i,a){var r,n,o,d,c;e===w.MEDIA_CONTROLLER&&(i&&((n=(r=tr(this,Le))==null?void 0:r.unassociateElement)==null||n.call(r,this),ir(this,Le,null)),a&&this.isConnected&&(ir(this,Le,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=tr(this,Le))==null?void 0:d.associateElement)==null||c.call(d,this)))}connectedCallback(){var e,i,a;let{style:r}=O(this.shadowRoot,":host");r.setProperty("display",`var(--media-control-display, var(--${this.localName}-display, inline-flex))`);let n=this.getAttribute(w.MEDIA_CONTROLLER);n&&(ir(this,Le,(e=this.getRootNode())==null?void 0:e.getElementById(n)),(a=(i=tr(this,Le))==null?void 0:i.associateElement)==null||a.call(i,this))}disconnectedCallback(){var e,i;(i=(e=tr(this,Le))==null?void 0:e.unassociateElement)==null||i.call(e,this),ir(this,Le,null)}};Le=new WeakMap;ue.shadowRootOptions={mode:"open"};ue.getTemplateHTML=Fc;ue.getSlotTemplateHTML=$c;l.customElements.get("media-text-display")||l.customElements.define("media-text-display",ue);var xl=[{singular:"hour",plural:"hours"},{singular:"minute",plural:"minutes"},{singular:"second",plural:"seconds"}],Ul=(t,e)=>{let i=t===1?v(xl[e].singular):v(xl[e].plural);return`${t} ${i}`},Lt=t=>{if(!Zt(t))return"";let e=Math.abs(t),i=e!==t,a=new Date(0,0,0,0,0,e,0),n=[a.getHours(),a.getMinutes(),a.getSeconds()].map((o,d)=>o&&Ul(o,d)).filter(o=>o).join(", ");return i?v("{time} remaining",{time:n}):e===0?Ul(0,2):n};function Rt(t,e){let i=!1;t<0&&(i=!0,t=0-t),t=t<0?0:t;let a=Math.floor(t%60),r=Math.floor(t/60%60),n=Math.floor(t/3600),o=Math.floor(e/60%60),d=Math.floor(e/3600);return(isNaN(t)||t===1/0)&&(n=r=a="0"),n=n>0||d>0?n+":":"",r=((n||o>=10)&&r<10?"0"+r:r)+":",a=a<10?"0"+a:a,(i?"-":"")+n+r+a}var Qm=Object.freeze({length:0,start(t){let e=t>>>0;if(e>=this.length)throw new DOMException(`Failed to execute 'start' on 'TimeRanges': The index provided (${e}) is greater than or equal to the maximum bound (${this.length}).`);return 0},end(t){let e=t>>>0;if(e>=this.length)throw new DOMException(`Failed to execute 'end' on 'TimeRanges': The index provided (${e}) is greater than or equal to the maximum bound (${this.length}).`);return 0}});var Wn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Te=(t,e,i)=>(Wn(t,e,"read from private field"),i?i.call(t):e.get(t)),Dt=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Bn=(t,e,i,a)=>(Wn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),ot=(t,e,i)=>(Wn(t,e,"access private method"),i),ai,Re,or,Fn,Pl,nr,$n,Xi,ar,rr,Nn,st={REMAINING:"remaining",SHOW_DURATION:"showduration",NO_TOGGLE:"notoggle"},Ol=[...Object.values(st),s.MEDIA_CURRENT_TIME,s.MEDIA_DURATION,s.MEDIA_SEEKABLE],Nl=["Enter"," "],Vc="&nbsp;/&nbsp;",Hn=(t,{timesSep:e=Vc}={})=>{var i,a;let r=(i=t.mediaCurrentTime)!=null?i:0,[,n]=(a=t.mediaSeekable)!=null?a:[],o=0;Number.isFinite(t.mediaDuration)?o=t.mediaDuration:Number.isFinite(n)&&(o=n);let d=t.remaining?Rt(0-(o-r)):Rt(r);return t.showDuration?`${d}${e}${Rt(o)}`:d},Kc=t=>{var e;let i=t.mediaCurrentTime,[,a]=(e=t.mediaSeekable)!=null?e:[],r=null;if(Number.isFinite(t.mediaDuration)?r=t.mediaDuration:Number.isFinite(a)&&(r=a),i==null||r===null){t.setAttribute("aria-description",v("video not loaded, unknown time."));return}let n=t.remaining?Lt(0-(r-i)):Lt(i);if(!t.showDuration){t.setAttribute("aria-description",n);return}let o=Lt(r),d=v("{currentTime} of {totalTime}",{currentTime:n,totalTime:o});t.setAttribute("aria-description",d)};function Gc(t,e){return`
    <slot>${Hn(e)}</slot>
  `}var qc=t=>{t.setAttribute("aria-label",v("playback time"))},sr=class extends ue{constructor(){super(),Dt(this,Fn),Dt(this,nr),Dt(this,Xi),Dt(this,rr),Dt(this,ai,void 0),Dt(this,Re,null),Dt(this,or,e=>{let{metaKey:i,altKey:a,key:r}=e;if(i||a||!Nl.includes(r)){this.removeEventListener("keyup",Te(this,Re));return}this.addEventListener("keyup",Te(this,Re))}),Bn(this,ai,this.shadowRoot.querySelector("slot")),Te(this,ai).innerHTML=`${Hn(this)}`}static get observedAttributes(){return[...super.observedAttributes,...Ol,"disabled"]}connectedCallback(){let{style:e}=O(this.shadowRoot,":host(:hover:not([notoggle]))");e.setProperty("cursor","var(--media-cursor, pointer)"),e.setProperty("background","var(--media-control-hover-background, rgba(50 50 70 / .7))"),this.setAttribute("aria-label",v("playback time")),ot(this,Xi,ar).call(this),super.connectedCallback()}toggleTimeDisplay(){this.noToggle||(this.hasAttribute("remaining")?this.removeAttribute("remaining"):this.setAttribute("remaining",""))}disconnectedCallback(){this.disable(),ot(this,nr,$n).call(this),super.disconnectedCallback()}attributeChangedCallback(e,i,a){qc(this),Ol.includes(e)?this.update():e==="disabled"&&a!==i?a==null?ot(this,Xi,ar).call(this):ot(this,rr,Nn).call(this):e===st.NO_TOGGLE&&a!==i&&(this.noToggle?ot(this,rr,Nn).call(this):ot(this,Xi,ar).call(this)),super.attributeChangedCallback(e,i,a)}enable(){this.noToggle||(this.tabIndex=0)}disable(){this.tabIndex=-1}get remaining(){return T(this,st.REMAINING)}set remaining(e){S(this,st.REMAINING,e)}get showDuration(){return T(this,st.SHOW_DURATION)}set showDuration(e){S(this,st.SHOW_DURATION,e)}get noToggle(){return T(this,st.NO_TOGGLE)}set noToggle(e){S(this,st.NO_TOGGLE,e)}get mediaDuration(){return P(this,s.MEDIA_DURATION)}set mediaDuration(e){N(this,s.MEDIA_DURATION,e)}get mediaCurrentTime(){return P(this,s.MEDIA_CURRENT_TIME)}set mediaCurrentTime(e){N(this,s.MEDIA_CURRENT_TIME,e)}get mediaSeekable(){let e=this.getAttribute(s.MEDIA_SEEKABLE);if(e)return e.split(":").map(i=>+i)}set mediaSeekable(e){if(e==null){this.removeAttribute(s.MEDIA_SEEKABLE);return}this.setAttribute(s.MEDIA_SEEKABLE,e.join(":"))}update(){let e=Hn(this);Kc(this),e!==Te(this,ai).innerHTML&&(Te(this,ai).innerHTML=e)}};ai=new WeakMap;Re=new WeakMap;or=new WeakMap;Fn=new WeakSet;Pl=function(){Te(this,Re)||(Bn(this,Re,t=>{let{key:e}=t;if(!Nl.includes(e)){this.removeEventListener("keyup",Te(this,Re));return}this.toggleTimeDisplay()}),this.addEventListener("keydown",Te(this,or)),this.addEventListener("click",this.toggleTimeDisplay))};nr=new WeakSet;$n=function(){Te(this,Re)&&(this.removeEventListener("keyup",Te(this,Re)),this.removeEventListener("keydown",Te(this,or)),this.removeEventListener("click",this.toggleTimeDisplay),Bn(this,Re,null))};Xi=new WeakSet;ar=function(){!this.noToggle&&!this.hasAttribute("disabled")&&(this.setAttribute("role","button"),this.enable(),ot(this,Fn,Pl).call(this))};rr=new WeakSet;Nn=function(){this.removeAttribute("role"),this.disable(),ot(this,nr,$n).call(this)};sr.getSlotTemplateHTML=Gc;l.customElements.get("media-time-display")||l.customElements.define("media-time-display",sr);var zn=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},F=(t,e,i)=>(zn(t,e,"read from private field"),i?i.call(t):e.get(t)),J=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},lt=(t,e,i,a)=>(zn(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Se=(t,e,i)=>(zn(t,e,"access private method"),i),De,fr,lr,dr,ke,vr,cr,ur,hr,Zn,Hl,mr,Vn,pr,Kn,Er,Xn,Gn,Wl,qn,Bl,Yn,Fl,Qn,$l;function Yc(t){return`
    <style>
      :host {
        --_focus-box-shadow: var(--media-focus-box-shadow, inset 0 0 0 2px rgb(27 127 204 / .9));
        --_media-range-padding: var(--media-range-padding, var(--media-control-padding, 10px));

        box-shadow: var(--_focus-visible-box-shadow, none);
        background: var(--media-control-background, var(--media-secondary-color, rgb(20 20 30 / .7)));
        height: calc(var(--media-control-height, 24px) + 2 * var(--_media-range-padding));
        display: inline-flex;
        align-items: center;
        
        vertical-align: middle;
        box-sizing: border-box;
        position: relative;
        width: 100px;
        transition: background .15s linear;
        cursor: var(--media-cursor, pointer);
        pointer-events: auto;
        touch-action: none; 
      }

      
      input[type=range]:focus {
        outline: 0;
      }
      input[type=range]:focus::-webkit-slider-runnable-track {
        outline: 0;
      }

      :host(:hover) {
        background: var(--media-control-hover-background, rgb(50 50 70 / .7));
      }

      #leftgap {
        padding-left: var(--media-range-padding-left, var(--_media-range-padding));
      }

      #rightgap {
        padding-right: var(--media-range-padding-right, var(--_media-range-padding));
      }

      #startpoint,
      #endpoint {
        position: absolute;
      }

      #endpoint {
        right: 0;
      }

      #container {
        
        width: var(--media-range-track-width, 100%);
        transform: translate(var(--media-range-track-translate-x, 0px), var(--media-range-track-translate-y, 0px));
        position: relative;
        height: 100%;
        display: flex;
        align-items: center;
        min-width: 40px;
      }

      #range {
        
        display: var(--media-time-range-hover-display, block);
        bottom: var(--media-time-range-hover-bottom, 0);
        height: var(--media-time-range-hover-height, max(100% , 25px));
        width: 100%;
        position: absolute;
        cursor: var(--media-cursor, pointer);

        -webkit-appearance: none; 
        -webkit-tap-highlight-color: transparent;
        background: transparent; 
        margin: 0;
        z-index: 1;
      }

      @media (hover: hover) {
        #range {
          bottom: var(--media-time-range-hover-bottom, 0);
          height: var(--media-time-range-hover-height, max(100%, 20px));
        }
      }

      
      
      #range::-webkit-slider-thumb {
        -webkit-appearance: none;
        background: transparent;
        width: .1px;
        height: .1px;
      }

      
      #range::-moz-range-thumb {
        background: transparent;
        border: transparent;
        width: .1px;
        height: .1px;
      }

      #appearance {
        height: var(--media-range-track-height, 4px);
        display: flex;
        flex-direction: column;
        justify-content: center;
        width: 100%;
        position: absolute;
        
        will-change: transform;
      }

      #track {
        background: var(--media-range-track-background, rgb(255 255 255 / .2));
        border-radius: var(--media-range-track-border-radius, 1px);
        border: var(--media-range-track-border, none);
        outline: var(--media-range-track-outline);
        outline-offset: var(--media-range-track-outline-offset);
        backdrop-filter: var(--media-range-track-backdrop-filter);
        -webkit-backdrop-filter: var(--media-range-track-backdrop-filter);
        box-shadow: var(--media-range-track-box-shadow, none);
        position: absolute;
        width: 100%;
        height: 100%;
        overflow: hidden;
      }

      #progress,
      #pointer {
        position: absolute;
        height: 100%;
        will-change: width;
      }

      #progress {
        background: var(--media-range-bar-color, var(--media-primary-color, rgb(238 238 238)));
        transition: var(--media-range-track-transition);
      }

      #pointer {
        background: var(--media-range-track-pointer-background);
        border-right: var(--media-range-track-pointer-border-right);
        transition: visibility .25s, opacity .25s;
        visibility: hidden;
        opacity: 0;
      }

      @media (hover: hover) {
        :host(:hover) #pointer {
          transition: visibility .5s, opacity .5s;
          visibility: visible;
          opacity: 1;
        }
      }

      #thumb,
      ::slotted([slot=thumb]) {
        width: var(--media-range-thumb-width, 10px);
        height: var(--media-range-thumb-height, 10px);
        transition: var(--media-range-thumb-transition);
        transform: var(--media-range-thumb-transform, none);
        opacity: var(--media-range-thumb-opacity, 1);
        translate: -50%;
        position: absolute;
        left: 0;
        cursor: var(--media-cursor, pointer);
      }

      #thumb {
        border-radius: var(--media-range-thumb-border-radius, 10px);
        background: var(--media-range-thumb-background, var(--media-primary-color, rgb(238 238 238)));
        box-shadow: var(--media-range-thumb-box-shadow, 1px 1px 1px transparent);
        border: var(--media-range-thumb-border, none);
      }

      :host([disabled]) #thumb {
        background-color: #777;
      }

      .segments #appearance {
        height: var(--media-range-segment-hover-height, 7px);
      }

      #track {
        clip-path: url(#segments-clipping);
      }

      #segments {
        --segments-gap: var(--media-range-segments-gap, 2px);
        position: absolute;
        width: 100%;
        height: 100%;
      }

      #segments-clipping {
        transform: translateX(calc(var(--segments-gap) / 2));
      }

      #segments-clipping:empty {
        display: none;
      }

      #segments-clipping rect {
        height: var(--media-range-track-height, 4px);
        y: calc((var(--media-range-segment-hover-height, 7px) - var(--media-range-track-height, 4px)) / 2);
        transition: var(--media-range-segment-transition, transform .1s ease-in-out);
        transform: var(--media-range-segment-transform, scaleY(1));
        transform-origin: center;
      }

      /* Visible label for accessibility - positioned off-screen but technically visible (Firefox requires visible labels) */
      #range-label {
        position: absolute;
        left: -10000px;
        background: var(--media-control-background, var(--media-secondary-color, rgb(20 20 30 / .7)));
        pointer-events: none;
      }
    </style>
    <div id="leftgap"></div>
    <div id="container">
      <div id="startpoint"></div>
      <div id="endpoint"></div>
      <div id="appearance">
        <div id="track" part="track">
          <div id="pointer"></div>
          <div id="progress" part="progress"></div>
        </div>
        <slot name="thumb">
          <div id="thumb" part="thumb"></div>
        </slot>
        <svg id="segments" aria-hidden="true"><clipPath id="segments-clipping"></clipPath></svg>
      </div>
        <input id="range" type="range" min="0" max="1" step="any" value="0">
        <label for="range" id="range-label"></label>

      ${this.getContainerTemplateHTML(t)}
    </div>
    <div id="rightgap"></div>
  `}function Qc(t){return""}var Ce=class extends l.HTMLElement{constructor(){if(super(),J(this,Zn),J(this,mr),J(this,pr),J(this,Er),J(this,Gn),J(this,qn),J(this,Yn),J(this,Qn),J(this,De,void 0),J(this,fr,void 0),J(this,lr,void 0),J(this,dr,void 0),J(this,ke,{}),J(this,vr,[]),J(this,cr,()=>{if(this.range.matches(":focus-visible")){let{style:e}=O(this.shadowRoot,":host");e.setProperty("--_focus-visible-box-shadow","var(--_focus-box-shadow)")}}),J(this,ur,()=>{let{style:e}=O(this.shadowRoot,":host");e.removeProperty("--_focus-visible-box-shadow")}),J(this,hr,()=>{let e=this.shadowRoot.querySelector("#segments-clipping");e&&e.parentNode.append(e)}),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes),i=this.constructor.getTemplateHTML(e);this.shadowRoot.setHTMLUnsafe?this.shadowRoot.setHTMLUnsafe(i):this.shadowRoot.innerHTML=i}this.container=this.shadowRoot.querySelector("#container"),lt(this,lr,this.shadowRoot.querySelector("#startpoint")),lt(this,dr,this.shadowRoot.querySelector("#endpoint")),this.range=this.shadowRoot.querySelector("#range"),this.appearance=this.shadowRoot.querySelector("#appearance")}static get observedAttributes(){return["disabled","aria-disabled",w.MEDIA_CONTROLLER]}attributeChangedCallback(e,i,a){var r,n,o,d,c;e===w.MEDIA_CONTROLLER?(i&&((n=(r=F(this,De))==null?void 0:r.unassociateElement)==null||n.call(r,this),lt(this,De,null)),a&&this.isConnected&&(lt(this,De,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=F(this,De))==null?void 0:d.associateElement)==null||c.call(d,this))):(e==="disabled"||e==="aria-disabled"&&i!==a)&&(a==null?(this.range.removeAttribute(e),Se(this,mr,Vn).call(this)):(this.range.setAttribute(e,a),Se(this,pr,Kn).call(this)))}connectedCallback(){var e,i,a;let{style:r}=O(this.shadowRoot,":host");r.setProperty("display",`var(--media-control-display, var(--${this.localName}-display, inline-flex))`),F(this,ke).pointer=O(this.shadowRoot,"#pointer"),F(this,ke).progress=O(this.shadowRoot,"#progress"),F(this,ke).thumb=O(this.shadowRoot,'#thumb, ::slotted([slot="thumb"])'),F(this,ke).activeSegment=O(this.shadowRoot,"#segments-clipping rect:nth-child(0)");let n=this.getAttribute(w.MEDIA_CONTROLLER);n&&(lt(this,De,(e=this.getRootNode())==null?void 0:e.getElementById(n)),(a=(i=F(this,De))==null?void 0:i.associateElement)==null||a.call(i,this)),this.updateBar(),this.shadowRoot.addEventListener("focusin",F(this,cr)),this.shadowRoot.addEventListener("focusout",F(this,ur)),Se(this,mr,Vn).call(this),Fe(this.container,F(this,hr))}disconnectedCallback(){var e,i;Se(this,pr,Kn).call(this),(i=(e=F(this,De))==null?void 0:e.unassociateElement)==null||i.call(e,this),lt(this,De,null),this.shadowRoot.removeEventListener("focusin",F(this,cr)),this.shadowRoot.removeEventListener("focusout",F(this,ur)),$e(this.container,F(this,hr))}updatePointerBar(e){var i;(i=F(this,ke).pointer)==null||i.style.setProperty("width",`${this.getPointerRatio(e)*100}%`)}updateBar(){var e,i;let a=this.range.valueAsNumber*100;(e=F(this,ke).progress)==null||e.style.setProperty("width",`${a}%`),(i=F(this,ke).thumb)==null||i.style.setProperty("left",`${a}%`)}updateSegments(e){let i=this.shadowRoot.querySelector("#segments-clipping");if(i.textContent="",this.container.classList.toggle("segments",!!e?.length),!e?.length)return;let a=[...new Set([+this.range.min,...e.flatMap(n=>[n.start,n.end]),+this.range.max])];lt(this,vr,[...a]);let r=a.pop();for(let[n,o]of a.entries()){let[d,c]=[n===0,n===a.length-1],_=d?"calc(var(--segments-gap) / -1)":`${o*100}%`,A=`calc(${((c?r:a[n+1])-o)*100}%${d||c?"":" - var(--segments-gap)"})`,f=H.createElementNS("http://www.w3.org/2000/svg","rect"),m=Li(this.shadowRoot,`#segments-clipping rect:nth-child(${n+1})`);m.style.setProperty("x",_),m.style.setProperty("width",A),i.append(f)}}getPointerRatio(e){return Mo(e.clientX,e.clientY,F(this,lr).getBoundingClientRect(),F(this,dr).getBoundingClientRect())}get dragging(){return this.hasAttribute("dragging")}handleEvent(e){switch(e.type){case"pointermove":Se(this,Qn,$l).call(this,e);break;case"input":this.updateBar();break;case"pointerenter":Se(this,Gn,Wl).call(this,e);break;case"pointerdown":Se(this,Er,Xn).call(this,e);break;case"pointerup":Se(this,qn,Bl).call(this);break;case"pointerleave":Se(this,Yn,Fl).call(this);break}}get keysUsed(){return["ArrowUp","ArrowRight","ArrowDown","ArrowLeft"]}};De=new WeakMap;fr=new WeakMap;lr=new WeakMap;dr=new WeakMap;ke=new WeakMap;vr=new WeakMap;cr=new WeakMap;ur=new WeakMap;hr=new WeakMap;Zn=new WeakSet;Hl=function(t){let e=F(this,ke).activeSegment;if(!e)return;let i=this.getPointerRatio(t),r=`#segments-clipping rect:nth-child(${F(this,vr).findIndex((n,o,d)=>{let c=d[o+1];return c!=null&&i>=n&&i<=c})+1})`;(e.selectorText!=r||!e.style.transform)&&(e.selectorText=r,e.style.setProperty("transform","var(--media-range-segment-hover-transform, scaleY(2))"))};mr=new WeakSet;Vn=function(){this.hasAttribute("disabled")||!this.isConnected||(this.addEventListener("input",this),this.addEventListener("pointerdown",this),this.addEventListener("pointerenter",this))};pr=new WeakSet;Kn=function(){var t,e;this.removeEventListener("input",this),this.removeEventListener("pointerdown",this),this.removeEventListener("pointerenter",this),this.removeEventListener("pointerleave",this),(t=l.window)==null||t.removeEventListener("pointerup",this),(e=l.window)==null||e.removeEventListener("pointermove",this)};Er=new WeakSet;Xn=function(t){var e;lt(this,fr,t.composedPath().includes(this.range)),(e=l.window)==null||e.addEventListener("pointerup",this,{once:!0})};Gn=new WeakSet;Wl=function(t){var e;t.pointerType!=="mouse"&&Se(this,Er,Xn).call(this,t),this.addEventListener("pointerleave",this,{once:!0}),(e=l.window)==null||e.addEventListener("pointermove",this)};qn=new WeakSet;Bl=function(){var t;(t=l.window)==null||t.removeEventListener("pointerup",this),this.toggleAttribute("dragging",!1),this.range.disabled=this.hasAttribute("disabled")};Yn=new WeakSet;Fl=function(){var t,e;this.removeEventListener("pointerleave",this),(t=l.window)==null||t.removeEventListener("pointermove",this),this.toggleAttribute("dragging",!1),this.range.disabled=this.hasAttribute("disabled"),(e=F(this,ke).activeSegment)==null||e.style.removeProperty("transform")};Qn=new WeakSet;$l=function(t){t.pointerType==="pen"&&t.buttons===0||(this.toggleAttribute("dragging",t.buttons===1||t.pointerType!=="mouse"),this.updatePointerBar(t),Se(this,Zn,Hl).call(this,t),this.dragging&&(t.pointerType!=="mouse"||!F(this,fr))&&(this.range.disabled=!0,this.range.valueAsNumber=this.getPointerRatio(t),this.range.dispatchEvent(new Event("input",{bubbles:!0,composed:!0}))))};Ce.shadowRootOptions={mode:"open"};Ce.getTemplateHTML=Yc;Ce.getContainerTemplateHTML=Qc;l.customElements.get("media-chrome-range")||l.customElements.define("media-chrome-range",Ce);var Vl=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},gr=(t,e,i)=>(Vl(t,e,"read from private field"),i?i.call(t):e.get(t)),zc=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},_r=(t,e,i,a)=>(Vl(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),xe;function Zc(t){return`
    <style>
      :host {
        box-sizing: border-box;
        display: var(--media-control-display, var(--media-preview-thumbnail-display, inline-block));
        overflow: hidden;
      }

      img {
        display: none;
        position: relative;
      }
    </style>
    <img crossorigin loading="eager" decoding="async">
  `}var ri=class extends l.HTMLElement{constructor(){if(super(),zc(this,xe,void 0),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}}static get observedAttributes(){return[w.MEDIA_CONTROLLER,s.MEDIA_PREVIEW_IMAGE,s.MEDIA_PREVIEW_COORDS]}connectedCallback(){var e,i,a;let r=this.getAttribute(w.MEDIA_CONTROLLER);r&&(_r(this,xe,(e=this.getRootNode())==null?void 0:e.getElementById(r)),(a=(i=gr(this,xe))==null?void 0:i.associateElement)==null||a.call(i,this))}disconnectedCallback(){var e,i;(i=(e=gr(this,xe))==null?void 0:e.unassociateElement)==null||i.call(e,this),_r(this,xe,null)}attributeChangedCallback(e,i,a){var r,n,o,d,c;[s.MEDIA_PREVIEW_IMAGE,s.MEDIA_PREVIEW_COORDS].includes(e)&&this.update(),e===w.MEDIA_CONTROLLER&&(i&&((n=(r=gr(this,xe))==null?void 0:r.unassociateElement)==null||n.call(r,this),_r(this,xe,null)),a&&this.isConnected&&(_r(this,xe,(o=this.getRootNode())==null?void 0:o.getElementById(a)),(c=(d=gr(this,xe))==null?void 0:d.associateElement)==null||c.call(d,this)))}get mediaPreviewImage(){return R(this,s.MEDIA_PREVIEW_IMAGE)}set mediaPreviewImage(e){L(this,s.MEDIA_PREVIEW_IMAGE,e)}get mediaPreviewCoords(){let e=this.getAttribute(s.MEDIA_PREVIEW_COORDS);if(e)return e.split(/\s+/).map(i=>+i)}set mediaPreviewCoords(e){if(!e){this.removeAttribute(s.MEDIA_PREVIEW_COORDS);return}this.setAttribute(s.MEDIA_PREVIEW_COORDS,e.join(" "))}update(){let e=this.mediaPreviewCoords,i=this.mediaPreviewImage;if(!(e&&i))return;let[a,r,n,o]=e,d=i.split("#")[0],c=getComputedStyle(this),{maxWidth:_,maxHeight:k,minWidth:A,minHeight:f}=c,m=c.getPropertyValue("--media-preview-thumbnail-object-fit").trim()||"contain",b,E;if(m==="fill"){let We=parseInt(_)/n,Be=parseInt(k)/o,Ii=parseInt(A)/n,vt=parseInt(f)/o;b=We<1?We:Math.max(We,Ii),E=Be<1?Be:Math.max(Be,vt)}else{let We=Math.min(parseInt(_)/n,parseInt(k)/o),Be=Math.max(parseInt(A)/n,parseInt(f)/o),vt=We<1?We:Be>1?Be:1;b=vt,E=vt}let{style:y}=O(this.shadowRoot,":host"),I=O(this.shadowRoot,"img").style,ee=this.shadowRoot.querySelector("img"),ki=Math.min(b,E)<1?"min":"max";y.setProperty(`${ki}-width`,"initial","important"),y.setProperty(`${ki}-height`,"initial","important"),y.width=`${n*b}px`,y.height=`${o*E}px`;let Pt=()=>{I.width=`${this.imgWidth*b}px`,I.height=`${this.imgHeight*E}px`,I.display="block"};ee.src!==d&&(ee.onload=()=>{this.imgWidth=ee.naturalWidth,this.imgHeight=ee.naturalHeight,Pt(),ee.onload=null},ee.src=d,Pt()),Pt(),I.transform=`translate(-${a*b}px, -${r*E}px)`}};xe=new WeakMap;ri.shadowRootOptions={mode:"open"};ri.getTemplateHTML=Zc;l.customElements.get("media-preview-thumbnail")||l.customElements.define("media-preview-thumbnail",ri);var Jn=ri;var Gl=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Kl=(t,e,i)=>(Gl(t,e,"read from private field"),i?i.call(t):e.get(t)),Xc=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Jc=(t,e,i,a)=>(Gl(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Ji,jn=class extends ue{constructor(){super(),Xc(this,Ji,void 0),Jc(this,Ji,this.shadowRoot.querySelector("slot")),Kl(this,Ji).textContent=Rt(0)}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PREVIEW_TIME]}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_PREVIEW_TIME&&a!=null&&(Kl(this,Ji).textContent=Rt(parseFloat(a)))}get mediaPreviewTime(){return P(this,s.MEDIA_PREVIEW_TIME)}set mediaPreviewTime(e){N(this,s.MEDIA_PREVIEW_TIME,e)}};Ji=new WeakMap;l.customElements.get("media-preview-time-display")||l.customElements.define("media-preview-time-display",jn);var ql=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},jc=(t,e,i)=>(ql(t,e,"read from private field"),i?i.call(t):e.get(t)),eu=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},tu=(t,e,i,a)=>(ql(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),br,es=class extends ue{constructor(){super(),eu(this,br,void 0),tu(this,br,this.shadowRoot.querySelector("slot"))}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PREVIEW_CHAPTER,s.MEDIA_LANG]}attributeChangedCallback(e,i,a){if(super.attributeChangedCallback(e,i,a),(e===s.MEDIA_PREVIEW_CHAPTER||e===s.MEDIA_LANG)&&a!==i&&a!=null)if(jc(this,br).textContent=a,a!==""){let r=v("chapter: {chapterName}",{chapterName:a});this.setAttribute("aria-valuetext",r)}else this.removeAttribute("aria-valuetext")}get mediaPreviewChapter(){return R(this,s.MEDIA_PREVIEW_CHAPTER)}set mediaPreviewChapter(e){L(this,s.MEDIA_PREVIEW_CHAPTER,e)}};br=new WeakMap;l.customElements.get("media-preview-chapter-display")||l.customElements.define("media-preview-chapter-display",es);var Yl=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Z=(t,e,i)=>(Yl(t,e,"read from private field"),i?i.call(t):e.get(t)),Ue=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},ce=(t,e,i,a)=>(Yl(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),iu=(t,e,i,a)=>({set _(r){ce(t,e,r,i)},get _(){return Z(t,e,a)}}),ni,Ar,si,ji,Tr,Sr,kr,oi,Ct,Ir,yr=class{constructor(e,i,a){Ue(this,ni,void 0),Ue(this,Ar,void 0),Ue(this,si,void 0),Ue(this,ji,void 0),Ue(this,Tr,void 0),Ue(this,Sr,void 0),Ue(this,kr,void 0),Ue(this,oi,void 0),Ue(this,Ct,0),Ue(this,Ir,(r=performance.now())=>{ce(this,Ct,requestAnimationFrame(Z(this,Ir))),ce(this,ji,performance.now()-Z(this,si));let n=1e3/this.fps;if(Z(this,ji)>n){ce(this,si,r-Z(this,ji)%n);let o=1e3/((r-Z(this,Ar))/++iu(this,Tr)._),d=(r-Z(this,Sr))/1e3/this.duration,c=Z(this,kr)+d*this.playbackRate;c-Z(this,ni).valueAsNumber>0?ce(this,oi,this.playbackRate/this.duration/o):(ce(this,oi,.995*Z(this,oi)),c=Z(this,ni).valueAsNumber+Z(this,oi)),this.callback(c)}}),ce(this,ni,e),this.callback=i,this.fps=a}start(){Z(this,Ct)===0&&(ce(this,si,performance.now()),ce(this,Ar,Z(this,si)),ce(this,Tr,0),Z(this,Ir).call(this))}stop(){Z(this,Ct)!==0&&(cancelAnimationFrame(Z(this,Ct)),ce(this,Ct,0))}update({start:e,duration:i,playbackRate:a}){let r=e-Z(this,ni).valueAsNumber,n=Math.abs(i-this.duration);(r>0||r<-.5/i||n>=.5)&&this.callback(e),ce(this,kr,e),ce(this,Sr,performance.now()),this.duration=i,this.playbackRate=a}};ni=new WeakMap;Ar=new WeakMap;si=new WeakMap;ji=new WeakMap;Tr=new WeakMap;Sr=new WeakMap;kr=new WeakMap;oi=new WeakMap;Ct=new WeakMap;Ir=new WeakMap;var ns=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},W=(t,e,i)=>(ns(t,e,"read from private field"),i?i.call(t):e.get(t)),Y=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},he=(t,e,i,a)=>(ns(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),me=(t,e,i)=>(ns(t,e,"access private method"),i),li,dt,Lr,ta,Rr,Mr,ia,aa,di,ci,ea,ts,Ql,is,Dr,ss,Cr,os,xr,ls,as,zl,ra,Ur,rs,Zl,au=t=>{let e=t.range,i=Lt(+Xl(t)),a=Lt(+t.mediaSeekableEnd),r=i&&a?v("{currentTime} of {totalTime}",{currentTime:i,totalTime:a}):v("video not loaded, unknown time.");e.setAttribute("aria-valuetext",r)};function ru(t){return`
    <style>
      :host {
        --media-box-border-radius: 4px;
        --media-box-padding-left: 10px;
        --media-box-padding-right: 10px;
        --media-preview-border-radius: var(--media-box-border-radius);
        --media-box-arrow-offset: var(--media-box-border-radius);
        --_control-background: var(--media-control-background, var(--media-secondary-color, rgb(20 20 30 / .7)));
        --_preview-background: var(--media-preview-background, var(--_control-background));

        
        contain: layout;
      }

      #buffered {
        background: var(--media-time-range-buffered-color, rgb(255 255 255 / .4));
        position: absolute;
        height: 100%;
        will-change: width;
      }

      #preview-rail,
      #current-rail {
        width: 100%;
        position: absolute;
        left: 0;
        bottom: 100%;
        pointer-events: none;
        will-change: transform;
      }

      [part~="box"] {
        width: min-content;
        
        position: absolute;
        bottom: 100%;
        flex-direction: column;
        align-items: center;
        transform: translateX(-50%);
      }

      [part~="current-box"] {
        display: var(--media-current-box-display, var(--media-box-display, flex));
        margin: var(--media-current-box-margin, var(--media-box-margin, 0 0 5px));
        visibility: hidden;
      }

      [part~="preview-box"] {
        display: var(--media-preview-box-display, var(--media-box-display, flex));
        margin: var(--media-preview-box-margin, var(--media-box-margin, 0 0 5px));
        transition-property: var(--media-preview-transition-property, visibility, opacity);
        transition-duration: var(--media-preview-transition-duration-out, .25s);
        transition-delay: var(--media-preview-transition-delay-out, 0s);
        visibility: hidden;
        opacity: 0;
      }

      :host(:is([${s.MEDIA_PREVIEW_IMAGE}], [${s.MEDIA_PREVIEW_TIME}])[dragging]) [part~="preview-box"] {
        transition-duration: var(--media-preview-transition-duration-in, .5s);
        transition-delay: var(--media-preview-transition-delay-in, .25s);
        visibility: visible;
        opacity: 1;
      }

      @media (hover: hover) {
        :host(:is([${s.MEDIA_PREVIEW_IMAGE}], [${s.MEDIA_PREVIEW_TIME}]):hover) [part~="preview-box"] {
          transition-duration: var(--media-preview-transition-duration-in, .5s);
          transition-delay: var(--media-preview-transition-delay-in, .25s);
          visibility: visible;
          opacity: 1;
        }
      }

      media-preview-thumbnail,
      ::slotted(media-preview-thumbnail) {
        visibility: hidden;
        
        transition: visibility 0s .25s;
        transition-delay: calc(var(--media-preview-transition-delay-out, 0s) + var(--media-preview-transition-duration-out, .25s));
        background: var(--media-preview-thumbnail-background, var(--_preview-background));
        box-shadow: var(--media-preview-thumbnail-box-shadow, 0 0 4px rgb(0 0 0 / .2));
        max-width: var(--media-preview-thumbnail-max-width, 180px);
        max-height: var(--media-preview-thumbnail-max-height, 160px);
        min-width: var(--media-preview-thumbnail-min-width, 120px);
        min-height: var(--media-preview-thumbnail-min-height, 80px);
        border: var(--media-preview-thumbnail-border);
        border-radius: var(--media-preview-thumbnail-border-radius,
          var(--media-preview-border-radius) var(--media-preview-border-radius) 0 0);
      }

      :host([${s.MEDIA_PREVIEW_IMAGE}][dragging]) media-preview-thumbnail,
      :host([${s.MEDIA_PREVIEW_IMAGE}][dragging]) ::slotted(media-preview-thumbnail) {
        transition-delay: var(--media-preview-transition-delay-in, .25s);
        visibility: visible;
      }

      @media (hover: hover) {
        :host([${s.MEDIA_PREVIEW_IMAGE}]:hover) media-preview-thumbnail,
        :host([${s.MEDIA_PREVIEW_IMAGE}]:hover) ::slotted(media-preview-thumbnail) {
          transition-delay: var(--media-preview-transition-delay-in, .25s);
          visibility: visible;
        }

        :host([${s.MEDIA_PREVIEW_TIME}]:hover) {
          --media-time-range-hover-display: block;
        }
      }

      media-preview-chapter-display,
      ::slotted(media-preview-chapter-display) {
        font-size: var(--media-font-size, 13px);
        line-height: 17px;
        min-width: 0;
        visibility: hidden;
        
        transition: min-width 0s, border-radius 0s, margin 0s, padding 0s, visibility 0s;
        transition-delay: calc(var(--media-preview-transition-delay-out, 0s) + var(--media-preview-transition-duration-out, .25s));
        background: var(--media-preview-chapter-background, var(--_preview-background));
        border-radius: var(--media-preview-chapter-border-radius,
          var(--media-preview-border-radius) var(--media-preview-border-radius)
          var(--media-preview-border-radius) var(--media-preview-border-radius));
        padding: var(--media-preview-chapter-padding, 3.5px 9px);
        margin: var(--media-preview-chapter-margin, 0 0 5px);
        text-shadow: var(--media-preview-chapter-text-shadow, 0 0 4px rgb(0 0 0 / .75));
      }

      :host([${s.MEDIA_PREVIEW_IMAGE}]) media-preview-chapter-display,
      :host([${s.MEDIA_PREVIEW_IMAGE}]) ::slotted(media-preview-chapter-display) {
        transition-delay: var(--media-preview-transition-delay-in, .25s);
        border-radius: var(--media-preview-chapter-border-radius, 0);
        padding: var(--media-preview-chapter-padding, 3.5px 9px 0);
        margin: var(--media-preview-chapter-margin, 0);
        min-width: 100%;
      }

      media-preview-chapter-display[${s.MEDIA_PREVIEW_CHAPTER}],
      ::slotted(media-preview-chapter-display[${s.MEDIA_PREVIEW_CHAPTER}]) {
        visibility: visible;
      }

      media-preview-chapter-display:not([aria-valuetext]),
      ::slotted(media-preview-chapter-display:not([aria-valuetext])) {
        display: none;
      }

      media-preview-time-display,
      ::slotted(media-preview-time-display),
      media-time-display,
      ::slotted(media-time-display) {
        font-size: var(--media-font-size, 13px);
        line-height: 17px;
        min-width: 0;
        
        transition: min-width 0s, border-radius 0s;
        transition-delay: calc(var(--media-preview-transition-delay-out, 0s) + var(--media-preview-transition-duration-out, .25s));
        background: var(--media-preview-time-background, var(--_preview-background));
        border-radius: var(--media-preview-time-border-radius,
          var(--media-preview-border-radius) var(--media-preview-border-radius)
          var(--media-preview-border-radius) var(--media-preview-border-radius));
        padding: var(--media-preview-time-padding, 3.5px 9px);
        margin: var(--media-preview-time-margin, 0);
        text-shadow: var(--media-preview-time-text-shadow, 0 0 4px rgb(0 0 0 / .75));
        transform: translateX(min(
          max(calc(50% - var(--_box-width) / 2),
          calc(var(--_box-shift, 0))),
          calc(var(--_box-width) / 2 - 50%)
        ));
      }

      :host([${s.MEDIA_PREVIEW_IMAGE}]) media-preview-time-display,
      :host([${s.MEDIA_PREVIEW_IMAGE}]) ::slotted(media-preview-time-display) {
        transition-delay: var(--media-preview-transition-delay-in, .25s);
        border-radius: var(--media-preview-time-border-radius,
          0 0 var(--media-preview-border-radius) var(--media-preview-border-radius));
        min-width: 100%;
      }

      :host([${s.MEDIA_PREVIEW_TIME}]:hover) {
        --media-time-range-hover-display: block;
      }

      [part~="arrow"],
      ::slotted([part~="arrow"]) {
        display: var(--media-box-arrow-display, inline-block);
        transform: translateX(min(
          max(calc(50% - var(--_box-width) / 2 + var(--media-box-arrow-offset)),
          calc(var(--_box-shift, 0))),
          calc(var(--_box-width) / 2 - 50% - var(--media-box-arrow-offset))
        ));
        
        border-color: transparent;
        border-top-color: var(--media-box-arrow-background, var(--_control-background));
        border-width: var(--media-box-arrow-border-width,
          var(--media-box-arrow-height, 5px) var(--media-box-arrow-width, 6px) 0);
        border-style: solid;
        justify-content: center;
        height: 0;
      }
    </style>
    <div id="preview-rail">
      <slot name="preview" part="box preview-box">
        <media-preview-thumbnail>
          <template shadowrootmode="${Jn.shadowRootOptions.mode}">
            ${Jn.getTemplateHTML({})}
          </template>
        </media-preview-thumbnail>
        <media-preview-chapter-display></media-preview-chapter-display>
        <media-preview-time-display></media-preview-time-display>
        <slot name="preview-arrow"><div part="arrow"></div></slot>
      </slot>
    </div>
    <div id="current-rail">
      <slot name="current" part="box current-box">
        
      </slot>
    </div>
  `}var wr=(t,e=t.mediaCurrentTime)=>{let i=Number.isFinite(t.mediaSeekableStart)?t.mediaSeekableStart:0,a=Number.isFinite(t.mediaDuration)?t.mediaDuration:t.mediaSeekableEnd;if(Number.isNaN(a))return 0;let r=(e-i)/(a-i);return Math.max(0,Math.min(r,1))},Xl=(t,e=t.range.valueAsNumber)=>{let i=Number.isFinite(t.mediaSeekableStart)?t.mediaSeekableStart:0,a=Number.isFinite(t.mediaDuration)?t.mediaDuration:t.mediaSeekableEnd;return Number.isNaN(a)?0:e*(a-i)+i},na=class extends Ce{constructor(){super(),Y(this,ts),Y(this,Dr),Y(this,Cr),Y(this,xr),Y(this,as),Y(this,ra),Y(this,rs),Y(this,li,null),Y(this,dt,void 0),Y(this,Lr,void 0),Y(this,ta,void 0),Y(this,Rr,void 0),Y(this,Mr,void 0),Y(this,ia,void 0),Y(this,aa,void 0),Y(this,di,void 0),Y(this,ci,void 0),Y(this,ea,()=>{me(this,ts,Ql).call(this)?W(this,dt).start():W(this,dt).stop()}),Y(this,is,a=>{this.dragging||(Zt(a)&&(this.range.valueAsNumber=a),W(this,ci)||this.updateBar())}),this.shadowRoot.querySelector("#track").insertAdjacentHTML("afterbegin",'<div id="buffered" part="buffered"></div>'),he(this,Lr,this.shadowRoot.querySelectorAll('[part~="box"]')),he(this,Rr,this.shadowRoot.querySelector('[part~="preview-box"]')),he(this,Mr,this.shadowRoot.querySelector('[part~="current-box"]'));let i=getComputedStyle(this);he(this,ia,parseInt(i.getPropertyValue("--media-box-padding-left"))),he(this,aa,parseInt(i.getPropertyValue("--media-box-padding-right"))),he(this,dt,new yr(this.range,W(this,is),60))}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PAUSED,s.MEDIA_DURATION,s.MEDIA_SEEKABLE,s.MEDIA_CURRENT_TIME,s.MEDIA_PREVIEW_IMAGE,s.MEDIA_PREVIEW_TIME,s.MEDIA_PREVIEW_CHAPTER,s.MEDIA_BUFFERED,s.MEDIA_PLAYBACK_RATE,s.MEDIA_LOADING,s.MEDIA_ENDED]}connectedCallback(){var e;super.connectedCallback(),this.range.setAttribute("aria-label",v("seek")),W(this,ea).call(this),he(this,li,this.getRootNode()),(e=W(this,li))==null||e.addEventListener("transitionstart",this)}disconnectedCallback(){var e;super.disconnectedCallback(),W(this,dt).stop(),(e=W(this,li))==null||e.removeEventListener("transitionstart",this),he(this,li,null)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),i!=a&&(e===s.MEDIA_CURRENT_TIME||e===s.MEDIA_PAUSED||e===s.MEDIA_ENDED||e===s.MEDIA_LOADING||e===s.MEDIA_DURATION||e===s.MEDIA_SEEKABLE?(W(this,dt).update({start:wr(this),duration:this.mediaSeekableEnd-this.mediaSeekableStart,playbackRate:this.mediaPlaybackRate}),W(this,ea).call(this),au(this)):e===s.MEDIA_BUFFERED&&this.updateBufferedBar(),(e===s.MEDIA_DURATION||e===s.MEDIA_SEEKABLE)&&(this.mediaChaptersCues=W(this,di),this.updateBar()))}get mediaChaptersCues(){return W(this,di)}set mediaChaptersCues(e){var i;he(this,di,e),this.updateSegments((i=W(this,di))==null?void 0:i.map(a=>({start:wr(this,a.startTime),end:wr(this,a.endTime)})))}get mediaPaused(){return T(this,s.MEDIA_PAUSED)}set mediaPaused(e){S(this,s.MEDIA_PAUSED,e)}get mediaLoading(){return T(this,s.MEDIA_LOADING)}set mediaLoading(e){S(this,s.MEDIA_LOADING,e)}get mediaDuration(){return P(this,s.MEDIA_DURATION)}set mediaDuration(e){N(this,s.MEDIA_DURATION,e)}get mediaCurrentTime(){return P(this,s.MEDIA_CURRENT_TIME)}set mediaCurrentTime(e){N(this,s.MEDIA_CURRENT_TIME,e)}get mediaPlaybackRate(){return P(this,s.MEDIA_PLAYBACK_RATE,1)}set mediaPlaybackRate(e){N(this,s.MEDIA_PLAYBACK_RATE,e)}get mediaBuffered(){let e=this.getAttribute(s.MEDIA_BUFFERED);return e?e.split(" ").map(i=>i.split(":").map(a=>+a)):[]}set mediaBuffered(e){if(!e){this.removeAttribute(s.MEDIA_BUFFERED);return}let i=e.map(a=>a.join(":")).join(" ");this.setAttribute(s.MEDIA_BUFFERED,i)}get mediaSeekable(){let e=this.getAttribute(s.MEDIA_SEEKABLE);if(e)return e.split(":").map(i=>+i)}set mediaSeekable(e){if(e==null){this.removeAttribute(s.MEDIA_SEEKABLE);return}this.setAttribute(s.MEDIA_SEEKABLE,e.join(":"))}get mediaSeekableEnd(){var e;let[,i=this.mediaDuration]=(e=this.mediaSeekable)!=null?e:[];return i}get mediaSeekableStart(){var e;let[i=0]=(e=this.mediaSeekable)!=null?e:[];return i}get mediaPreviewImage(){return R(this,s.MEDIA_PREVIEW_IMAGE)}set mediaPreviewImage(e){L(this,s.MEDIA_PREVIEW_IMAGE,e)}get mediaPreviewTime(){return P(this,s.MEDIA_PREVIEW_TIME)}set mediaPreviewTime(e){N(this,s.MEDIA_PREVIEW_TIME,e)}get mediaEnded(){return T(this,s.MEDIA_ENDED)}set mediaEnded(e){S(this,s.MEDIA_ENDED,e)}updateBar(){super.updateBar(),this.updateBufferedBar(),this.updateCurrentBox()}updateBufferedBar(){var e;let i=this.mediaBuffered;if(!i.length)return;let a;if(this.mediaEnded)a=1;else{let n=this.mediaCurrentTime,[,o=this.mediaSeekableStart]=(e=i.find(([d,c])=>d<=n&&n<=c))!=null?e:[];a=wr(this,o)}let{style:r}=O(this.shadowRoot,"#buffered");r.setProperty("width",`${a*100}%`)}updateCurrentBox(){if(!this.shadowRoot.querySelector('slot[name="current"]').assignedElements().length)return;let i=O(this.shadowRoot,"#current-rail"),a=O(this.shadowRoot,'[part~="current-box"]'),r=me(this,Dr,ss).call(this,W(this,Mr)),n=me(this,Cr,os).call(this,r,this.range.valueAsNumber),o=me(this,xr,ls).call(this,r,this.range.valueAsNumber);i.style.transform=`translateX(${n})`,i.style.setProperty("--_range-width",`${r.range.width}`),a.style.setProperty("--_box-shift",`${o}`),a.style.setProperty("--_box-width",`${r.box.width}px`),a.style.setProperty("visibility","initial")}handleEvent(e){switch(super.handleEvent(e),e.type){case"input":me(this,rs,Zl).call(this);break;case"pointermove":me(this,as,zl).call(this,e);break;case"pointerup":W(this,ci)&&he(this,ci,!1);break;case"pointerdown":he(this,ci,!0);break;case"pointerleave":me(this,ra,Ur).call(this,null);break;case"transitionstart":te(e.target,this)&&setTimeout(()=>W(this,ea).call(this),0);break}}};li=new WeakMap;dt=new WeakMap;Lr=new WeakMap;ta=new WeakMap;Rr=new WeakMap;Mr=new WeakMap;ia=new WeakMap;aa=new WeakMap;di=new WeakMap;ci=new WeakMap;ea=new WeakMap;ts=new WeakSet;Ql=function(){return this.isConnected&&!this.mediaPaused&&!this.mediaLoading&&!this.mediaEnded&&this.mediaSeekableEnd>0&&wa(this)};is=new WeakMap;Dr=new WeakSet;ss=function(t){var e;let a=((e=this.getAttribute("bounds")?Ie(this,`#${this.getAttribute("bounds")}`):this.parentElement)!=null?e:this).getBoundingClientRect(),r=this.range.getBoundingClientRect(),n=t.offsetWidth,o=-(r.left-a.left-n/2),d=a.right-r.left-n/2;return{box:{width:n,min:o,max:d},bounds:a,range:r}};Cr=new WeakSet;os=function(t,e){let i=`${e*100}%`,{width:a,min:r,max:n}=t.box;if(!a)return i;if(Number.isNaN(r)||(i=`max(${`calc(1 / var(--_range-width) * 100 * ${r}% + var(--media-box-padding-left))`}, ${i})`),!Number.isNaN(n)){let d=`calc(1 / var(--_range-width) * 100 * ${n}% - var(--media-box-padding-right))`;i=`min(${i}, ${d})`}return i};xr=new WeakSet;ls=function(t,e){let{width:i,min:a,max:r}=t.box,n=e*t.range.width;if(n<a+W(this,ia)){let o=t.range.left-t.bounds.left-W(this,ia);return`${n-i/2+o}px`}if(n>r-W(this,aa)){let o=t.bounds.right-t.range.right-W(this,aa);return`${n+i/2-o-t.range.width}px`}return 0};as=new WeakSet;zl=function(t){let e=[...W(this,Lr)].some(k=>t.composedPath().includes(k));if(!this.dragging&&(e||!t.composedPath().includes(this))){me(this,ra,Ur).call(this,null);return}let i=this.mediaSeekableEnd;if(!i)return;let a=O(this.shadowRoot,"#preview-rail"),r=O(this.shadowRoot,'[part~="preview-box"]'),n=me(this,Dr,ss).call(this,W(this,Rr)),o=(t.clientX-n.range.left)/n.range.width;o=Math.max(0,Math.min(1,o));let d=me(this,Cr,os).call(this,n,o),c=me(this,xr,ls).call(this,n,o);a.style.transform=`translateX(${d})`,a.style.setProperty("--_range-width",`${n.range.width}`),r.style.setProperty("--_box-shift",`${c}`),r.style.setProperty("--_box-width",`${n.box.width}px`);let _=Math.round(W(this,ta))-Math.round(o*i);Math.abs(_)<1&&o>.01&&o<.99||(he(this,ta,o*i),me(this,ra,Ur).call(this,W(this,ta)))};ra=new WeakSet;Ur=function(t){this.dispatchEvent(new l.CustomEvent(h.MEDIA_PREVIEW_REQUEST,{composed:!0,bubbles:!0,detail:t}))};rs=new WeakSet;Zl=function(){W(this,dt).stop();let t=Xl(this);this.dispatchEvent(new l.CustomEvent(h.MEDIA_SEEK_REQUEST,{composed:!0,bubbles:!0,detail:t}))};na.shadowRootOptions={mode:"open"};na.getContainerTemplateHTML=ru;l.customElements.get("media-time-range")||l.customElements.define("media-time-range",na);var nu=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Jl=(t,e,i)=>(nu(t,e,"read from private field"),i?i.call(t):e.get(t)),su=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Or,ou=1,lu=t=>t.mediaMuted?0:t.mediaVolume,du=t=>`${Math.round(t*100)}%`,ds=class extends Ce{constructor(){super(...arguments),su(this,Or,()=>{let e=this.range.value,i=new l.CustomEvent(h.MEDIA_VOLUME_REQUEST,{composed:!0,bubbles:!0,detail:e});this.dispatchEvent(i)})}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_VOLUME,s.MEDIA_MUTED,s.MEDIA_VOLUME_UNAVAILABLE]}connectedCallback(){super.connectedCallback(),this.range.setAttribute("aria-label",v("volume")),this.range.addEventListener("input",Jl(this,Or))}disconnectedCallback(){this.range.removeEventListener("input",Jl(this,Or)),super.disconnectedCallback()}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),(e===s.MEDIA_VOLUME||e===s.MEDIA_MUTED)&&(this.range.valueAsNumber=lu(this),this.range.setAttribute("aria-valuetext",du(this.range.valueAsNumber)),this.updateBar())}get mediaVolume(){return P(this,s.MEDIA_VOLUME,ou)}set mediaVolume(e){N(this,s.MEDIA_VOLUME,e)}get mediaMuted(){return T(this,s.MEDIA_MUTED)}set mediaMuted(e){S(this,s.MEDIA_MUTED,e)}get mediaVolumeUnavailable(){return R(this,s.MEDIA_VOLUME_UNAVAILABLE)}set mediaVolumeUnavailable(e){L(this,s.MEDIA_VOLUME_UNAVAILABLE,e)}};Or=new WeakMap;l.customElements.get("media-volume-range")||l.customElements.define("media-volume-range",ds);function jl({anchor:t,floating:e,placement:i}){let a=cu({anchor:t,floating:e}),{x:r,y:n}=hu(a,i);return{x:r,y:n}}function cu({anchor:t,floating:e}){return{anchor:uu(t,e.offsetParent),floating:{x:0,y:0,width:e.offsetWidth,height:e.offsetHeight}}}function uu(t,e){var i;let a=t.getBoundingClientRect(),r=(i=e?.getBoundingClientRect())!=null?i:{x:0,y:0};return{x:a.x-r.x,y:a.y-r.y,width:a.width,height:a.height}}function hu({anchor:t,floating:e},i){let a=mu(i)==="x"?"y":"x",r=a==="y"?"height":"width",n=ed(i),o=t.x+t.width/2-e.width/2,d=t.y+t.height/2-e.height/2,c=t[r]/2-e[r]/2,_;switch(n){case"top":_={x:o,y:t.y-e.height};break;case"bottom":_={x:o,y:t.y+t.height};break;case"right":_={x:t.x+t.width,y:d};break;case"left":_={x:t.x-e.width,y:d};break;default:_={x:t.x,y:t.y}}switch(i.split("-")[1]){case"start":_[a]-=c;break;case"end":_[a]+=c;break}return _}function ed(t){return t.split("-")[0]}function mu(t){return["top","bottom"].includes(ed(t))?"y":"x"}var ct=class extends Event{constructor({action:e="auto",relatedTarget:i,...a}){super("invoke",a),this.action=e,this.relatedTarget=i}},Pr=class extends Event{constructor({newState:e,oldState:i,...a}){super("toggle",a),this.newState=e,this.oldState=i}};var As=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},D=(t,e,i)=>(As(t,e,"read from private field"),i?i.call(t):e.get(t)),x=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},pe=(t,e,i,a)=>(As(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),U=(t,e,i)=>(As(t,e,"access private method"),i),Oe,ut,qe,Nr,sa,Ut,da,cs,td,Br,Ts,Fr,Hr,us,hs,id,ms,ad,ps,rd,ui,hi,mi,ca,$r,Ss,vs,nd,ks,sd,Es,od,Is,ld,fs,dd,gs,cd,oa,Vr,_s,ud,la,Kr,Wr,bs;function ht({type:t,text:e,value:i,checked:a}){let r=H.createElement("media-chrome-menu-item");r.type=t??"",r.part.add("menu-item"),t&&r.part.add(t),r.value=i,r.checked=a;let n=H.createElement("span");return n.textContent=e,r.append(n),r}function Ye(t,e){let i=t.querySelector(`:scope > [slot="${e}"]`);if(i?.nodeName=="SLOT"&&(i=i.assignedElements({flatten:!0})[0]),i)return i=i.cloneNode(!0),i;let a=t.shadowRoot.querySelector(`[name="${e}"] > svg`);return a?a.cloneNode(!0):""}function pu(t){return`
    <style>
      :host {
        font: var(--media-font,
          var(--media-font-weight, normal)
          var(--media-font-size, 14px) /
          var(--media-text-content-height, var(--media-control-height, 24px))
          var(--media-font-family, helvetica neue, segoe ui, roboto, arial, sans-serif));
        color: var(--media-text-color, var(--media-primary-color, rgb(238 238 238)));
        --_menu-bg: rgb(20 20 30 / .8);
        background: var(--media-menu-background, var(--media-control-background, var(--media-secondary-color, var(--_menu-bg))));
        border-radius: var(--media-menu-border-radius);
        border: var(--media-menu-border, none);
        display: var(--media-menu-display, inline-flex) !important;
        
        transition: var(--media-menu-transition-in,
          visibility 0s,
          opacity .2s ease-out,
          transform .15s ease-out,
          left .2s ease-in-out,
          min-width .2s ease-in-out,
          min-height .2s ease-in-out
        ) !important;
        
        visibility: var(--media-menu-visibility, visible);
        opacity: var(--media-menu-opacity, 1);
        max-height: var(--media-menu-max-height, var(--_menu-max-height, 300px));
        transform: var(--media-menu-transform-in, translateY(0) scale(1));
        flex-direction: column;
        
        min-height: 0;
        position: relative;
        bottom: var(--_menu-bottom);
        box-sizing: border-box;
      } 

      @-moz-document url-prefix() {
        :host{
          --_menu-bg: rgb(20 20 30);
        }
      }

      :host([hidden]) {
        transition: var(--media-menu-transition-out,
          visibility .15s ease-in,
          opacity .15s ease-in,
          transform .15s ease-in
        ) !important;
        visibility: var(--media-menu-hidden-visibility, hidden);
        opacity: var(--media-menu-hidden-opacity, 0);
        max-height: var(--media-menu-hidden-max-height,
          var(--media-menu-max-height, var(--_menu-max-height, 300px)));
        transform: var(--media-menu-transform-out, translateY(2px) scale(.99));
        pointer-events: none;
      }

      :host([slot="submenu"]) {
        background: none;
        width: 100%;
        min-height: 100%;
        position: absolute;
        bottom: 0;
        right: -100%;
      }

      #container {
        display: flex;
        flex-direction: column;
        min-height: 0;
        transition: transform .2s ease-out;
        transform: translate(0, 0);
      }

      #container.has-expanded {
        transition: transform .2s ease-in;
        transform: translate(-100%, 0);
      }

      button {
        background: none;
        color: inherit;
        border: none;
        padding: 0;
        font: inherit;
        outline: inherit;
        display: inline-flex;
        align-items: center;
      }

      slot[name="header"][hidden] {
        display: none;
      }

      slot[name="header"] > *,
      slot[name="header"]::slotted(*) {
        padding: .4em .7em;
        border-bottom: 1px solid rgb(255 255 255 / .25);
        cursor: var(--media-cursor, default);
      }

      slot[name="header"] > button[part~="back"],
      slot[name="header"]::slotted(button[part~="back"]) {
        cursor: var(--media-cursor, pointer);
      }

      svg[part~="back"] {
        height: var(--media-menu-icon-height, var(--media-control-height, 24px));
        fill: var(--media-icon-color, var(--media-primary-color, rgb(238 238 238)));
        display: block;
        margin-right: .5ch;
      }

      slot:not([name]) {
        gap: var(--media-menu-gap);
        flex-direction: var(--media-menu-flex-direction, column);
        overflow: var(--media-menu-overflow, hidden auto);
        display: flex;
        min-height: 0;
      }

      :host([role="menu"]) slot:not([name]) {
        padding-block: .4em;
      }

      slot:not([name])::slotted([role="menu"]) {
        background: none;
      }

      media-chrome-menu-item > span {
        margin-right: .5ch;
        max-width: var(--media-menu-item-max-width);
        text-overflow: ellipsis;
        overflow: hidden;
      }
    </style>
    <style id="layout-row" media="width:0">

      slot[name="header"] > *,
      slot[name="header"]::slotted(*) {
        padding: .4em .5em;
      }

      slot:not([name]) {
        gap: var(--media-menu-gap, .25em);
        flex-direction: var(--media-menu-flex-direction, row);
        padding-inline: .5em;
      }

      media-chrome-menu-item {
        padding: .3em .5em;
      }

      media-chrome-menu-item[aria-checked="true"] {
        background: var(--media-menu-item-checked-background, rgb(255 255 255 / .2));
      }

      
      media-chrome-menu-item::part(checked-indicator) {
        display: var(--media-menu-item-checked-indicator-display, none);
      }
    </style>
    <div id="container" part="container">
      <slot name="header" hidden>
        <button part="back button" aria-label="Back to previous menu">
          <slot name="back-icon">
            <svg aria-hidden="true" viewBox="0 0 20 24" part="back indicator">
              <path d="m11.88 17.585.742-.669-4.2-4.665 4.2-4.666-.743-.669-4.803 5.335 4.803 5.334Z"/>
            </svg>
          </slot>
          <slot name="title"></slot>
        </button>
      </slot>
      <slot></slot>
    </div>
    <slot name="checked-indicator" hidden></slot>
  `}var xt={STYLE:"style",HIDDEN:"hidden",DISABLED:"disabled",ANCHOR:"anchor"},ve=class extends l.HTMLElement{constructor(){if(super(),x(this,cs),x(this,Br),x(this,Hr),x(this,hs),x(this,ms),x(this,ps),x(this,mi),x(this,$r),x(this,vs),x(this,ks),x(this,Es),x(this,Is),x(this,fs),x(this,gs),x(this,oa),x(this,_s),x(this,la),x(this,Wr),x(this,Oe,null),x(this,ut,null),x(this,qe,null),x(this,Nr,new Set),x(this,sa,void 0),x(this,Ut,!1),x(this,da,null),x(this,Fr,()=>{let e=D(this,Nr),i=new Set(this.items);for(let a of e)i.has(a)||this.dispatchEvent(new CustomEvent("removemenuitem",{detail:a}));for(let a of i)e.has(a)||this.dispatchEvent(new CustomEvent("addmenuitem",{detail:a}));pe(this,Nr,i)}),x(this,ui,()=>{U(this,mi,ca).call(this),U(this,$r,Ss).call(this,!1)}),x(this,hi,()=>{U(this,mi,ca).call(this)}),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}this.container=this.shadowRoot.querySelector("#container"),this.defaultSlot=this.shadowRoot.querySelector("slot:not([name])"),pe(this,sa,new MutationObserver(D(this,Fr)))}static get observedAttributes(){return[xt.DISABLED,xt.HIDDEN,xt.STYLE,xt.ANCHOR,w.MEDIA_CONTROLLER]}static formatMenuItemText(e,i){return e}enable(){this.addEventListener("click",this),this.addEventListener("focusout",this),this.addEventListener("keydown",this),this.addEventListener("invoke",this),this.addEventListener("toggle",this)}disable(){this.removeEventListener("click",this),this.removeEventListener("focusout",this),this.removeEventListener("keyup",this),this.removeEventListener("invoke",this),this.removeEventListener("toggle",this)}handleEvent(e){switch(e.type){case"slotchange":U(this,cs,td).call(this,e);break;case"invoke":U(this,hs,id).call(this,e);break;case"click":U(this,vs,nd).call(this,e);break;case"toggle":U(this,Es,od).call(this,e);break;case"focusout":U(this,fs,dd).call(this,e);break;case"keydown":U(this,gs,cd).call(this,e);break}}connectedCallback(){var e,i;D(this,sa).observe(this.defaultSlot,{childList:!0}),pe(this,da,Li(this.shadowRoot,":host")),U(this,Hr,us).call(this),this.hasAttribute("disabled")||this.enable(),this.role||(this.role="menu"),pe(this,Oe,ya(this)),(i=(e=D(this,Oe))==null?void 0:e.associateElement)==null||i.call(e,this),this.hidden||(Fe(ua(this),D(this,ui)),Fe(this,D(this,hi))),U(this,Br,Ts).call(this),this.shadowRoot.addEventListener("slotchange",this)}disconnectedCallback(){var e,i;D(this,sa).disconnect(),$e(ua(this),D(this,ui)),$e(this,D(this,hi)),this.disable(),(i=(e=D(this,Oe))==null?void 0:e.unassociateElement)==null||i.call(e,this),pe(this,Oe,null),pe(this,ut,null),pe(this,qe,null),this.shadowRoot.removeEventListener("slotchange",this)}attributeChangedCallback(e,i,a){var r,n,o,d;e===xt.HIDDEN&&a!==i?(D(this,Ut)||pe(this,Ut,!0),this.hidden?U(this,ps,rd).call(this):U(this,ms,ad).call(this),this.dispatchEvent(new Pr({oldState:this.hidden?"open":"closed",newState:this.hidden?"closed":"open",bubbles:!0}))):e===w.MEDIA_CONTROLLER?(i&&((n=(r=D(this,Oe))==null?void 0:r.unassociateElement)==null||n.call(r,this),pe(this,Oe,null)),a&&this.isConnected&&(pe(this,Oe,ya(this)),(d=(o=D(this,Oe))==null?void 0:o.associateElement)==null||d.call(o,this))):e===xt.DISABLED&&a!==i?a==null?this.enable():this.disable():e===xt.STYLE&&a!==i&&U(this,Hr,us).call(this)}formatMenuItemText(e,i){return this.constructor.formatMenuItemText(e,i)}get anchor(){return this.getAttribute("anchor")}set anchor(e){this.setAttribute("anchor",`${e}`)}get anchorElement(){var e;return this.anchor?(e=ft(this))==null?void 0:e.querySelector(`#${this.anchor}`):null}get items(){return this.defaultSlot.assignedElements({flatten:!0}).filter(vu)}get radioGroupItems(){return this.items.filter(e=>e.role==="menuitemradio")}get checkedItems(){return this.items.filter(e=>e.checked)}get value(){var e,i;return(i=(e=this.checkedItems[0])==null?void 0:e.value)!=null?i:""}set value(e){let i=this.items.find(a=>a.value===e);i&&U(this,Wr,bs).call(this,i)}focus(){if(pe(this,ut,Mi()),this.items.length){U(this,la,Kr).call(this,this.items[0]),this.items[0].focus();return}let e=this.querySelector('[autofocus], [tabindex]:not([tabindex="-1"]), [role="menu"]');e?.focus()}handleSelect(e){var i;let a=U(this,oa,Vr).call(this,e);a&&(U(this,Wr,bs).call(this,a,a.type==="checkbox"),D(this,qe)&&!this.hidden&&((i=D(this,ut))==null||i.focus(),this.hidden=!0))}get keysUsed(){return["Enter","Escape","Tab"," ","ArrowDown","ArrowUp","Home","End"]}handleMove(e){var i,a;let{key:r}=e,n=this.items,o=(a=(i=U(this,oa,Vr).call(this,e))!=null?i:U(this,_s,ud).call(this))!=null?a:n[0],d=n.indexOf(o),c=Math.max(0,d);r==="ArrowDown"?c++:r==="ArrowUp"?c--:e.key==="Home"?c=0:e.key==="End"&&(c=n.length-1),c<0&&(c=n.length-1),c>n.length-1&&(c=0),U(this,la,Kr).call(this,n[c]),n[c].focus()}};Oe=new WeakMap;ut=new WeakMap;qe=new WeakMap;Nr=new WeakMap;sa=new WeakMap;Ut=new WeakMap;da=new WeakMap;cs=new WeakSet;td=function(t){let e=t.target;for(let i of e.assignedNodes({flatten:!0}))i.nodeType===3&&i.textContent.trim()===""&&i.remove();["header","title"].includes(e.name)&&U(this,Br,Ts).call(this),e.name||D(this,Fr).call(this)};Br=new WeakSet;Ts=function(){let t=this.shadowRoot.querySelector('slot[name="header"]'),e=this.shadowRoot.querySelector('slot[name="title"]');t.hidden=e.assignedNodes().length===0&&t.assignedNodes().length===0};Fr=new WeakMap;Hr=new WeakSet;us=function(){var t;let e=this.shadowRoot.querySelector("#layout-row"),i=(t=getComputedStyle(this).getPropertyValue("--media-menu-layout"))==null?void 0:t.trim();e.setAttribute("media",i==="row"?"":"width:0")};hs=new WeakSet;id=function(t){pe(this,qe,t.relatedTarget),te(this,t.relatedTarget)||(this.hidden=!this.hidden)};ms=new WeakSet;ad=function(){var t;(t=D(this,qe))==null||t.setAttribute("aria-expanded","true"),this.addEventListener("transitionend",()=>this.focus(),{once:!0}),Fe(ua(this),D(this,ui)),Fe(this,D(this,hi))};ps=new WeakSet;rd=function(){var t;(t=D(this,qe))==null||t.setAttribute("aria-expanded","false"),$e(ua(this),D(this,ui)),$e(this,D(this,hi))};ui=new WeakMap;hi=new WeakMap;mi=new WeakSet;ca=function(t){if(this.hasAttribute("mediacontroller")&&!this.anchor||this.hidden||!this.anchorElement)return;let{x:e,y:i}=jl({anchor:this.anchorElement,floating:this,placement:"top-start"});t??(t=this.offsetWidth);let r=ua(this).getBoundingClientRect(),n=r.width-e-t,o=r.height-i-this.offsetHeight,{style:d}=D(this,da);d.setProperty("position","absolute"),d.setProperty("right",`${Math.max(0,n)}px`),d.setProperty("--_menu-bottom",`${o}px`);let c=getComputedStyle(this),k=d.getPropertyValue("--_menu-bottom")===c.bottom?o:parseFloat(c.bottom),A=r.height-k-parseFloat(c.marginBottom);this.style.setProperty("--_menu-max-height",`${A}px`)};$r=new WeakSet;Ss=function(t){let e=this.querySelector('[role="menuitem"][aria-haspopup][aria-expanded="true"]'),i=e?.querySelector('[role="menu"]'),{style:a}=D(this,da);if(t||a.setProperty("--media-menu-transition-in","none"),i){let r=i.offsetHeight,n=Math.max(i.offsetWidth,e.offsetWidth);this.style.setProperty("min-width",`${n}px`),this.style.setProperty("min-height",`${r}px`),U(this,mi,ca).call(this,n)}else this.style.removeProperty("min-width"),this.style.removeProperty("min-height"),U(this,mi,ca).call(this);a.removeProperty("--media-menu-transition-in")};vs=new WeakSet;nd=function(t){var e;if(t.stopPropagation(),t.composedPath().includes(D(this,ks,sd))){(e=D(this,ut))==null||e.focus(),this.hidden=!0;return}let i=U(this,oa,Vr).call(this,t);!i||i.hasAttribute("disabled")||(U(this,la,Kr).call(this,i),this.handleSelect(t))};ks=new WeakSet;sd=function(){var t;return(t=this.shadowRoot.querySelector('slot[name="header"]').assignedElements({flatten:!0}))==null?void 0:t.find(i=>i.matches('button[part~="back"]'))};Es=new WeakSet;od=function(t){if(t.target===this)return;U(this,Is,ld).call(this);let e=Array.from(this.querySelectorAll('[role="menuitem"][aria-haspopup]'));for(let i of e)i.invokeTargetElement!=t.target&&t.newState=="open"&&i.getAttribute("aria-expanded")=="true"&&!i.invokeTargetElement.hidden&&i.invokeTargetElement.dispatchEvent(new ct({relatedTarget:i}));for(let i of e)i.setAttribute("aria-expanded",`${!i.submenuElement.hidden}`);U(this,$r,Ss).call(this,!0)};Is=new WeakSet;ld=function(){let e=this.querySelector('[role="menuitem"] > [role="menu"]:not([hidden])');this.container.classList.toggle("has-expanded",!!e)};fs=new WeakSet;dd=function(t){var e;te(this,t.relatedTarget)||(D(this,Ut)&&((e=D(this,ut))==null||e.focus()),D(this,qe)&&D(this,qe)!==t.relatedTarget&&!this.hidden&&(this.hidden=!0))};gs=new WeakSet;cd=function(t){var e,i,a,r,n;let{key:o,ctrlKey:d,altKey:c,metaKey:_}=t;if(!(d||c||_)&&this.keysUsed.includes(o))if(t.preventDefault(),t.stopPropagation(),o==="Tab"){if(D(this,Ut)){this.hidden=!0;return}t.shiftKey?(i=(e=this.previousElementSibling)==null?void 0:e.focus)==null||i.call(e):(r=(a=this.nextElementSibling)==null?void 0:a.focus)==null||r.call(a),this.blur()}else o==="Escape"?((n=D(this,ut))==null||n.focus(),D(this,Ut)&&(this.hidden=!0)):o==="Enter"||o===" "?this.handleSelect(t):this.handleMove(t)};oa=new WeakSet;Vr=function(t){return t.composedPath().find(e=>["menuitemradio","menuitemcheckbox"].includes(e.role))};_s=new WeakSet;ud=function(){return this.items.find(t=>t.tabIndex===0)};la=new WeakSet;Kr=function(t){for(let e of this.items)e.tabIndex=e===t?0:-1};Wr=new WeakSet;bs=function(t,e){let i=[...this.checkedItems];t.type==="radio"&&this.radioGroupItems.forEach(a=>a.checked=!1),e?t.checked=!t.checked:t.checked=!0,this.checkedItems.some((a,r)=>a!=i[r])&&this.dispatchEvent(new Event("change",{bubbles:!0,composed:!0}))};ve.shadowRootOptions={mode:"open"};ve.getTemplateHTML=pu;function vu(t){return["menuitem","menuitemradio","menuitemcheckbox"].includes(t?.role)}function ua(t){var e;return(e=t.getAttribute("bounds")?Ie(t,`#${t.getAttribute("bounds")}`):j(t)||t.parentElement)!=null?e:t}l.customElements.get("media-chrome-menu")||l.customElements.define("media-chrome-menu",ve);var Ls=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Eu=(t,e,i)=>(Ls(t,e,"read from private field"),i?i.call(t):e.get(t)),ys=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},fu=(t,e,i,a)=>(Ls(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Gr=(t,e,i)=>(Ls(t,e,"access private method"),i),Qr,qr,ws,Yr,Ms,gu=`
  <svg aria-hidden="true" viewBox="0 0 26 24" part="captions-indicator indicator">
    <path d="M22.83 5.68a2.58 2.58 0 0 0-2.3-2.5c-3.62-.24-11.44-.24-15.06 0a2.58 2.58 0 0 0-2.3 2.5c-.23 4.21-.23 8.43 0 12.64a2.58 2.58 0 0 0 2.3 2.5c3.62.24 11.44.24 15.06 0a2.58 2.58 0 0 0 2.3-2.5c.23-4.21.23-8.43 0-12.64Zm-11.39 9.45a3.07 3.07 0 0 1-1.91.57 3.06 3.06 0 0 1-2.34-1 3.75 3.75 0 0 1-.92-2.67 3.92 3.92 0 0 1 .92-2.77 3.18 3.18 0 0 1 2.43-1 2.94 2.94 0 0 1 2.13.78c.364.359.62.813.74 1.31l-1.43.35a1.49 1.49 0 0 0-1.51-1.17 1.61 1.61 0 0 0-1.29.58 2.79 2.79 0 0 0-.5 1.89 3 3 0 0 0 .49 1.93 1.61 1.61 0 0 0 1.27.58 1.48 1.48 0 0 0 1-.37 2.1 2.1 0 0 0 .59-1.14l1.4.44a3.23 3.23 0 0 1-1.07 1.69Zm7.22 0a3.07 3.07 0 0 1-1.91.57 3.06 3.06 0 0 1-2.34-1 3.75 3.75 0 0 1-.92-2.67 3.88 3.88 0 0 1 .93-2.77 3.14 3.14 0 0 1 2.42-1 3 3 0 0 1 2.16.82 2.8 2.8 0 0 1 .73 1.31l-1.43.35a1.49 1.49 0 0 0-1.51-1.21 1.61 1.61 0 0 0-1.29.58A2.79 2.79 0 0 0 15 12a3 3 0 0 0 .49 1.93 1.61 1.61 0 0 0 1.27.58 1.44 1.44 0 0 0 1-.37 2.1 2.1 0 0 0 .6-1.15l1.4.44a3.17 3.17 0 0 1-1.1 1.7Z"/>
  </svg>`;function _u(t){return`
    ${ve.getTemplateHTML(t)}
    <slot name="captions-indicator" hidden>${gu}</slot>
  `}var zr=class extends ve{constructor(){super(...arguments),ys(this,qr),ys(this,Yr),ys(this,Qr,void 0)}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_SUBTITLES_LIST,s.MEDIA_SUBTITLES_SHOWING]}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_SUBTITLES_LIST&&i!==a?Gr(this,qr,ws).call(this):e===s.MEDIA_SUBTITLES_SHOWING&&i!==a&&(this.value=a||"",Gr(this,qr,ws).call(this))}connectedCallback(){super.connectedCallback(),this.addEventListener("change",Gr(this,Yr,Ms))}disconnectedCallback(){super.disconnectedCallback(),this.removeEventListener("change",Gr(this,Yr,Ms))}get anchorElement(){return this.anchor!=="auto"?super.anchorElement:j(this).querySelector("media-captions-menu-button")}get mediaSubtitlesList(){return hd(this,s.MEDIA_SUBTITLES_LIST)}set mediaSubtitlesList(e){md(this,s.MEDIA_SUBTITLES_LIST,e)}get mediaSubtitlesShowing(){return hd(this,s.MEDIA_SUBTITLES_SHOWING)}set mediaSubtitlesShowing(e){md(this,s.MEDIA_SUBTITLES_SHOWING,e)}};Qr=new WeakMap;qr=new WeakSet;ws=function(){var t;let e=Eu(this,Qr)!==JSON.stringify(this.mediaSubtitlesList),i=this.value!==this.getAttribute(s.MEDIA_SUBTITLES_SHOWING);if(!e&&!i)return;fu(this,Qr,JSON.stringify(this.mediaSubtitlesList)),this.defaultSlot.textContent="";let a=!this.value,r=ht({type:"radio",text:this.formatMenuItemText(v("Off")),value:"off",checked:a});r.prepend(Ye(this,"checked-indicator")),this.defaultSlot.append(r);let n=this.mediaSubtitlesList;for(let o of n){let d=ht({type:"radio",text:this.formatMenuItemText(o.label,o),value:Fa(o),checked:this.value==Fa(o)});d.prepend(Ye(this,"checked-indicator")),((t=o.kind)!=null?t:"subs")==="captions"&&d.append(Ye(this,"captions-indicator")),this.defaultSlot.append(d)}};Yr=new WeakSet;Ms=function(){let t=this.mediaSubtitlesShowing,e=this.getAttribute(s.MEDIA_SUBTITLES_SHOWING),i=this.value!==e;if(t?.length&&i&&this.dispatchEvent(new l.CustomEvent(h.MEDIA_DISABLE_SUBTITLES_REQUEST,{composed:!0,bubbles:!0,detail:t})),!this.value||!i)return;let a=new l.CustomEvent(h.MEDIA_SHOW_SUBTITLES_REQUEST,{composed:!0,bubbles:!0,detail:this.value});this.dispatchEvent(a)};zr.getTemplateHTML=_u;var hd=(t,e)=>{let i=t.getAttribute(e);return i?Hi(i):[]},md=(t,e,i)=>{if(!i?.length){t.removeAttribute(e);return}let a=St(i);t.getAttribute(e)!==a&&t.setAttribute(e,a)};l.customElements.get("media-captions-menu")||l.customElements.define("media-captions-menu",zr);var Qe=class extends q{connectedCallback(){super.connectedCallback(),this.invokeTargetElement&&this.setAttribute("aria-haspopup","menu")}get invokeTarget(){return this.getAttribute("invoketarget")}set invokeTarget(e){this.setAttribute("invoketarget",`${e}`)}get invokeTargetElement(){var e;return this.invokeTarget?(e=ft(this))==null?void 0:e.querySelector(`#${this.invokeTarget}`):null}handleClick(){var e;(e=this.invokeTargetElement)==null||e.dispatchEvent(new ct({relatedTarget:this}))}};l.customElements.get("media-chrome-menu-button")||l.customElements.define("media-chrome-menu-button",Qe);var bu=`<svg aria-hidden="true" viewBox="0 0 26 24">
  <path d="M22.83 5.68a2.58 2.58 0 0 0-2.3-2.5c-3.62-.24-11.44-.24-15.06 0a2.58 2.58 0 0 0-2.3 2.5c-.23 4.21-.23 8.43 0 12.64a2.58 2.58 0 0 0 2.3 2.5c3.62.24 11.44.24 15.06 0a2.58 2.58 0 0 0 2.3-2.5c.23-4.21.23-8.43 0-12.64Zm-11.39 9.45a3.07 3.07 0 0 1-1.91.57 3.06 3.06 0 0 1-2.34-1 3.75 3.75 0 0 1-.92-2.67 3.92 3.92 0 0 1 .92-2.77 3.18 3.18 0 0 1 2.43-1 2.94 2.94 0 0 1 2.13.78c.364.359.62.813.74 1.31l-1.43.35a1.49 1.49 0 0 0-1.51-1.17 1.61 1.61 0 0 0-1.29.58 2.79 2.79 0 0 0-.5 1.89 3 3 0 0 0 .49 1.93 1.61 1.61 0 0 0 1.27.58 1.48 1.48 0 0 0 1-.37 2.1 2.1 0 0 0 .59-1.14l1.4.44a3.23 3.23 0 0 1-1.07 1.69Zm7.22 0a3.07 3.07 0 0 1-1.91.57 3.06 3.06 0 0 1-2.34-1 3.75 3.75 0 0 1-.92-2.67 3.88 3.88 0 0 1 .93-2.77 3.14 3.14 0 0 1 2.42-1 3 3 0 0 1 2.16.82 2.8 2.8 0 0 1 .73 1.31l-1.43.35a1.49 1.49 0 0 0-1.51-1.21 1.61 1.61 0 0 0-1.29.58A2.79 2.79 0 0 0 15 12a3 3 0 0 0 .49 1.93 1.61 1.61 0 0 0 1.27.58 1.44 1.44 0 0 0 1-.37 2.1 2.1 0 0 0 .6-1.15l1.4.44a3.17 3.17 0 0 1-1.1 1.7Z"/>
</svg>`,Au=`<svg aria-hidden="true" viewBox="0 0 26 24">
  <path d="M17.73 14.09a1.4 1.4 0 0 1-1 .37 1.579 1.579 0 0 1-1.27-.58A3 3 0 0 1 15 12a2.8 2.8 0 0 1 .5-1.85 1.63 1.63 0 0 1 1.29-.57 1.47 1.47 0 0 1 1.51 1.2l1.43-.34A2.89 2.89 0 0 0 19 9.07a3 3 0 0 0-2.14-.78 3.14 3.14 0 0 0-2.42 1 3.91 3.91 0 0 0-.93 2.78 3.74 3.74 0 0 0 .92 2.66 3.07 3.07 0 0 0 2.34 1 3.07 3.07 0 0 0 1.91-.57 3.17 3.17 0 0 0 1.07-1.74l-1.4-.45c-.083.43-.3.822-.62 1.12Zm-7.22 0a1.43 1.43 0 0 1-1 .37 1.58 1.58 0 0 1-1.27-.58A3 3 0 0 1 7.76 12a2.8 2.8 0 0 1 .5-1.85 1.63 1.63 0 0 1 1.29-.57 1.47 1.47 0 0 1 1.51 1.2l1.43-.34a2.81 2.81 0 0 0-.74-1.32 2.94 2.94 0 0 0-2.13-.78 3.18 3.18 0 0 0-2.43 1 4 4 0 0 0-.92 2.78 3.74 3.74 0 0 0 .92 2.66 3.07 3.07 0 0 0 2.34 1 3.07 3.07 0 0 0 1.91-.57 3.23 3.23 0 0 0 1.07-1.74l-1.4-.45a2.06 2.06 0 0 1-.6 1.07Zm12.32-8.41a2.59 2.59 0 0 0-2.3-2.51C18.72 3.05 15.86 3 13 3c-2.86 0-5.72.05-7.53.17a2.59 2.59 0 0 0-2.3 2.51c-.23 4.207-.23 8.423 0 12.63a2.57 2.57 0 0 0 2.3 2.5c1.81.13 4.67.19 7.53.19 2.86 0 5.72-.06 7.53-.19a2.57 2.57 0 0 0 2.3-2.5c.23-4.207.23-8.423 0-12.63Zm-1.49 12.53a1.11 1.11 0 0 1-.91 1.11c-1.67.11-4.45.18-7.43.18-2.98 0-5.76-.07-7.43-.18a1.11 1.11 0 0 1-.91-1.11c-.21-4.14-.21-8.29 0-12.43a1.11 1.11 0 0 1 .91-1.11C7.24 4.56 10 4.49 13 4.49s5.76.07 7.43.18a1.11 1.11 0 0 1 .91 1.11c.21 4.14.21 8.29 0 12.43Z"/>
</svg>`;function Tu(){return`
    <style>
      :host([data-captions-enabled="true"]) slot[name=off] {
        display: none !important;
      }

      
      :host(:not([data-captions-enabled="true"])) slot[name=on] {
        display: none !important;
      }

      :host([aria-expanded="true"]) slot[name=tooltip] {
        display: none;
      }
    </style>

    <slot name="icon">
      <slot name="on">${bu}</slot>
      <slot name="off">${Au}</slot>
    </slot>
  `}function Su(){return v("Captions")}var pd=t=>{t.setAttribute("data-captions-enabled",Zo(t).toString())},vd=t=>{t.setAttribute("aria-label",v("closed captions"))},ha=class extends Qe{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_SUBTITLES_LIST,s.MEDIA_SUBTITLES_SHOWING,s.MEDIA_LANG]}connectedCallback(){super.connectedCallback(),vd(this),pd(this)}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_SUBTITLES_SHOWING?pd(this):e===s.MEDIA_LANG&&vd(this)}get invokeTargetElement(){var e;return this.invokeTarget!=null?super.invokeTargetElement:(e=j(this))==null?void 0:e.querySelector("media-captions-menu")}get mediaSubtitlesList(){return Ed(this,s.MEDIA_SUBTITLES_LIST)}set mediaSubtitlesList(e){fd(this,s.MEDIA_SUBTITLES_LIST,e)}get mediaSubtitlesShowing(){return Ed(this,s.MEDIA_SUBTITLES_SHOWING)}set mediaSubtitlesShowing(e){fd(this,s.MEDIA_SUBTITLES_SHOWING,e)}};ha.getSlotTemplateHTML=Tu;ha.getTooltipContentHTML=Su;var Ed=(t,e)=>{let i=t.getAttribute(e);return i?Hi(i):[]},fd=(t,e,i)=>{if(!i?.length){t.removeAttribute(e);return}let a=St(i);t.getAttribute(e)!==a&&t.setAttribute(e,a)};l.customElements.get("media-captions-menu-button")||l.customElements.define("media-captions-menu-button",ha);var Os=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},ae=(t,e,i)=>(Os(t,e,"read from private field"),i?i.call(t):e.get(t)),ze=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Rs=(t,e,i,a)=>(Os(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),vi=(t,e,i)=>(Os(t,e,"access private method"),i),Zr,pa,Ds,gd,Jr,Ps,Ns,_d,Pe,pi,Cs,Xr,xs;function ku(t){return`
    <style>
      :host {
        transition: var(--media-menu-item-transition,
          background .15s linear,
          opacity .2s ease-in-out
        );
        outline: var(--media-menu-item-outline, 0);
        outline-offset: var(--media-menu-item-outline-offset, -1px);
        cursor: var(--media-cursor, pointer);
        display: flex;
        align-items: center;
        align-self: stretch;
        justify-self: stretch;
        white-space: nowrap;
        white-space-collapse: collapse;
        text-wrap: nowrap;
        padding: .4em .8em .4em 1em;
      }

      :host(:focus-visible) {
        box-shadow: var(--media-menu-item-focus-shadow, inset 0 0 0 2px rgb(27 127 204 / .9));
        outline: var(--media-menu-item-hover-outline, 0);
        outline-offset: var(--media-menu-item-hover-outline-offset,  var(--media-menu-item-outline-offset, -1px));
      }

      :host(:hover) {
        cursor: var(--media-cursor, pointer);
        background: var(--media-menu-item-hover-background, rgb(92 92 102 / .5));
        outline: var(--media-menu-item-hover-outline);
        outline-offset: var(--media-menu-item-hover-outline-offset,  var(--media-menu-item-outline-offset, -1px));
      }

      :host([aria-checked="true"]) {
        background: var(--media-menu-item-checked-background);
      }

      :host([hidden]) {
        display: none;
      }

      :host([disabled]) {
        pointer-events: none;
        color: rgba(255, 255, 255, .3);
      }

      slot:not([name]) {
        width: 100%;
      }

      slot:not([name="submenu"]) {
        display: inline-flex;
        align-items: center;
        transition: inherit;
        opacity: var(--media-menu-item-opacity, 1);
      }

      slot[name="description"] {
        justify-content: end;
      }

      slot[name="description"] > span {
        display: inline-block;
        margin-inline: 1em .2em;
        max-width: var(--media-menu-item-description-max-width, 100px);
        text-overflow: ellipsis;
        overflow: hidden;
        font-size: .8em;
        font-weight: 400;
        text-align: right;
        position: relative;
        top: .04em;
      }

      slot[name="checked-indicator"] {
        display: none;
      }

      :host(:is([role="menuitemradio"],[role="menuitemcheckbox"])) slot[name="checked-indicator"] {
        display: var(--media-menu-item-checked-indicator-display, inline-block);
      }

      
      svg, img, ::slotted(svg), ::slotted(img) {
        height: var(--media-menu-item-icon-height, var(--media-control-height, 24px));
        fill: var(--media-icon-color, var(--media-primary-color, rgb(238 238 238)));
        display: block;
      }

      
      [part~="indicator"],
      ::slotted([part~="indicator"]) {
        fill: var(--media-menu-item-indicator-fill,
          var(--media-icon-color, var(--media-primary-color, rgb(238 238 238))));
        height: var(--media-menu-item-indicator-height, 1.25em);
        margin-right: .5ch;
      }

      [part~="checked-indicator"] {
        visibility: hidden;
      }

      :host([aria-checked="true"]) [part~="checked-indicator"] {
        visibility: visible;
      }
    </style>
    <slot name="checked-indicator">
      <svg aria-hidden="true" viewBox="0 1 24 24" part="checked-indicator indicator">
        <path d="m10 15.17 9.193-9.191 1.414 1.414-10.606 10.606-6.364-6.364 1.414-1.414 4.95 4.95Z"/>
      </svg>
    </slot>
    <slot name="prefix"></slot>
    <slot></slot>
    <slot name="description"></slot>
    <slot name="suffix">
      ${this.getSuffixSlotInnerHTML(t)}
    </slot>
    <slot name="submenu"></slot>
  `}function Iu(t){return""}var Ee={TYPE:"type",VALUE:"value",CHECKED:"checked",DISABLED:"disabled"},Ei=class extends l.HTMLElement{constructor(){if(super(),ze(this,Ds),ze(this,Jr),ze(this,Ns),ze(this,Xr),ze(this,Zr,!1),ze(this,pa,void 0),ze(this,Pe,()=>{var e,i;this.submenuElement.items&&this.setAttribute("submenusize",`${this.submenuElement.items.length}`);let a=this.shadowRoot.querySelector('slot[name="description"]'),r=(e=this.submenuElement.checkedItems)==null?void 0:e[0],n=(i=r?.dataset.description)!=null?i:r?.text,o=H.createElement("span");o.textContent=n??"",a.replaceChildren(o)}),ze(this,pi,e=>{let{key:i}=e;if(!this.keysUsed.includes(i)){this.removeEventListener("keyup",ae(this,pi));return}this.handleClick(e)}),ze(this,Cs,e=>{let{metaKey:i,altKey:a,key:r}=e;if(i||a||!this.keysUsed.includes(r)){this.removeEventListener("keyup",ae(this,pi));return}this.addEventListener("keyup",ae(this,pi),{once:!0})}),!this.shadowRoot){this.attachShadow(this.constructor.shadowRootOptions);let e=$(this.attributes);this.shadowRoot.innerHTML=this.constructor.getTemplateHTML(e)}}static get observedAttributes(){return[Ee.TYPE,Ee.DISABLED,Ee.CHECKED,Ee.VALUE]}enable(){this.hasAttribute("tabindex")||this.setAttribute("tabindex","-1"),ma(this)&&!this.hasAttribute("aria-checked")&&this.setAttribute("aria-checked","false"),this.addEventListener("click",this),this.addEventListener("keydown",this)}disable(){this.removeAttribute("tabindex"),this.removeEventListener("click",this),this.removeEventListener("keydown",this),this.removeEventListener("keyup",this)}handleEvent(e){switch(e.type){case"slotchange":vi(this,Ds,gd).call(this,e);break;case"click":this.handleClick(e);break;case"keydown":ae(this,Cs).call(this,e);break;case"keyup":ae(this,pi).call(this,e);break}}attributeChangedCallback(e,i,a){e===Ee.CHECKED&&ma(this)&&!ae(this,Zr)?this.setAttribute("aria-checked",a!=null?"true":"false"):e===Ee.TYPE&&a!==i?this.role="menuitem"+a:e===Ee.DISABLED&&a!==i&&(a==null?this.enable():this.disable())}connectedCallback(){this.hasAttribute(Ee.DISABLED)||this.enable(),this.role="menuitem"+this.type,Rs(this,pa,Us(this,this.parentNode)),vi(this,Xr,xs).call(this),this.submenuElement&&vi(this,Jr,Ps).call(this),this.shadowRoot.addEventListener("slotchange",this)}disconnectedCallback(){this.disable(),vi(this,Xr,xs).call(this),Rs(this,pa,null),this.shadowRoot.removeEventListener("slotchange",this)}get invokeTarget(){return this.getAttribute("invoketarget")}set invokeTarget(e){this.setAttribute("invoketarget",`${e}`)}get invokeTargetElement(){var e;return this.invokeTarget?(e=ft(this))==null?void 0:e.querySelector(`#${this.invokeTarget}`):this.submenuElement}get submenuElement(){return this.shadowRoot.querySelector('slot[name="submenu"]').assignedElements({flatten:!0})[0]}get type(){var e;return(e=this.getAttribute(Ee.TYPE))!=null?e:""}set type(e){this.setAttribute(Ee.TYPE,`${e}`)}get value(){var e;return(e=this.getAttribute(Ee.VALUE))!=null?e:this.text}set value(e){this.setAttribute(Ee.VALUE,e)}get text(){var e;return((e=this.textContent)!=null?e:"").trim()}get checked(){if(ma(this))return this.getAttribute("aria-checked")==="true"}set checked(e){ma(this)&&(Rs(this,Zr,!0),this.setAttribute("aria-checked",e?"true":"false"),e?this.part.add("checked"):this.part.remove("checked"))}handleClick(e){ma(this)||this.invokeTargetElement&&te(this,e.target)&&this.invokeTargetElement.dispatchEvent(new ct({relatedTarget:this}))}get keysUsed(){return["Enter"," "]}};Zr=new WeakMap;pa=new WeakMap;Ds=new WeakSet;gd=function(t){let e=t.target;if(!e?.name)for(let a of e.assignedNodes({flatten:!0}))a instanceof Text&&a.textContent.trim()===""&&a.remove();e.name==="submenu"&&(this.submenuElement?vi(this,Jr,Ps).call(this):vi(this,Ns,_d).call(this))};Jr=new WeakSet;Ps=async function(){this.setAttribute("aria-haspopup","menu"),this.setAttribute("aria-expanded",`${!this.submenuElement.hidden}`),this.submenuElement.addEventListener("change",ae(this,Pe)),this.submenuElement.addEventListener("addmenuitem",ae(this,Pe)),this.submenuElement.addEventListener("removemenuitem",ae(this,Pe)),ae(this,Pe).call(this)};Ns=new WeakSet;_d=function(){this.removeAttribute("aria-haspopup"),this.removeAttribute("aria-expanded"),this.submenuElement.removeEventListener("change",ae(this,Pe)),this.submenuElement.removeEventListener("addmenuitem",ae(this,Pe)),this.submenuElement.removeEventListener("removemenuitem",ae(this,Pe)),ae(this,Pe).call(this)};Pe=new WeakMap;pi=new WeakMap;Cs=new WeakMap;Xr=new WeakSet;xs=function(){var t;let e=(t=ae(this,pa))==null?void 0:t.radioGroupItems;if(!e)return;let i=e.filter(a=>a.getAttribute("aria-checked")==="true").pop();i||(i=e[0]);for(let a of e)a.setAttribute("aria-checked","false");i?.setAttribute("aria-checked","true")};Ei.shadowRootOptions={mode:"open"};Ei.getTemplateHTML=ku;Ei.getSuffixSlotInnerHTML=Iu;function ma(t){return t.type==="radio"||t.type==="checkbox"}function Us(t,e){if(!t)return null;let{host:i}=t.getRootNode();return!e&&i?Us(t,i):e?.items?e:Us(e,e?.parentNode)}l.customElements.get("media-chrome-menu-item")||l.customElements.define("media-chrome-menu-item",Ei);var yu=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},fi=(t,e,i)=>(yu(t,e,"read from private field"),i?i.call(t):e.get(t)),wu=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},mt,Hs={RATES:"rates"},Ws=[1,1.2,1.5,1.7,2],Ot=1;function Ne(t){return Math.round(t*100)/100}function Mu(t){return`
    <style>
      :host {
        min-width: 5ch;
        padding: var(--media-button-padding, var(--media-control-padding, 10px 5px));
      }
    </style>
    <slot name="icon">${t.mediaplaybackrate?Ne(+t.mediaplaybackrate):Ot}x</slot>
  `}function Lu(){return v("Playback rate")}var va=class extends q{constructor(){var e;super(),wu(this,mt,new it(this,Hs.RATES,{defaultValue:Ws})),this.container=this.shadowRoot.querySelector('slot[name="icon"]'),this.container.innerHTML=`${Ne((e=this.mediaPlaybackRate)!=null?e:Ot)}x`}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PLAYBACK_RATE,Hs.RATES]}attributeChangedCallback(e,i,a){if(super.attributeChangedCallback(e,i,a),e===Hs.RATES&&(fi(this,mt).value=a),e===s.MEDIA_PLAYBACK_RATE){let r=a?+a:Number.NaN,n=Ne(Number.isNaN(r)?Ot:r);this.container.innerHTML=`${n}x`,this.setAttribute("aria-label",v("Playback rate {playbackRate}",{playbackRate:n}))}}get rates(){return fi(this,mt)}set rates(e){e?Array.isArray(e)?fi(this,mt).value=e.join(" "):typeof e=="string"&&(fi(this,mt).value=e):fi(this,mt).value=""}get mediaPlaybackRate(){return P(this,s.MEDIA_PLAYBACK_RATE,Ot)}set mediaPlaybackRate(e){N(this,s.MEDIA_PLAYBACK_RATE,e)}handleClick(){var e,i;let a=Array.from(fi(this,mt).values(),o=>+o).sort((o,d)=>o-d),r=(i=(e=a.find(o=>o>this.mediaPlaybackRate))!=null?e:a[0])!=null?i:Ot,n=new l.CustomEvent(h.MEDIA_PLAYBACK_RATE_REQUEST,{composed:!0,bubbles:!0,detail:r});this.dispatchEvent(n)}};mt=new WeakMap;va.getSlotTemplateHTML=Mu;va.getTooltipContentHTML=Lu;l.customElements.get("media-playback-rate-button")||l.customElements.define("media-playback-rate-button",va);var bd=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},_i=(t,e,i)=>(bd(t,e,"read from private field"),i?i.call(t):e.get(t)),Bs=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},gi=(t,e,i)=>(bd(t,e,"access private method"),i),pt,bi,Ea,jr,$s,Fs={RATES:"rates"},Vs=class extends ve{constructor(){super(),Bs(this,bi),Bs(this,jr),Bs(this,pt,new it(this,Fs.RATES,{defaultValue:Ws})),gi(this,bi,Ea).call(this)}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PLAYBACK_RATE,Fs.RATES]}attributeChangedCallback(e,i,a){super.attributeChangedCallback(e,i,a),e===s.MEDIA_PLAYBACK_RATE&&i!=a?(this.value=a,gi(this,bi,Ea).call(this)):e===Fs.RATES&&i!=a&&(_i(this,pt).value=a,gi(this,bi,Ea).call(this))}connectedCallback(){super.connectedCallback(),this.addEventListener("change",gi(this,jr,$s))}disconnectedCallback(){super.disconnectedCallback(),this.removeEventListener("change",gi(this,jr,$s))}get anchorElement(){return this.anchor!=="auto"?super.anchorElement:j(this).querySelector("media-playback-rate-menu-button")}get rates(){return _i(this,pt)}set rates(e){e?Array.isArray(e)?_i(this,pt).value=e.join(" "):typeof e=="string"&&(_i(this,pt).value=e):_i(this,pt).value="",gi(this,bi,Ea).call(this)}get mediaPlaybackRate(){return P(this,s.MEDIA_PLAYBACK_RATE,Ot)}set mediaPlaybackRate(e){N(this,s.MEDIA_PLAYBACK_RATE,e)}};pt=new WeakMap;bi=new WeakSet;Ea=function(){this.defaultSlot.textContent="";let t=Ne(this.mediaPlaybackRate),e=new Set(Array.from(_i(this,pt)).map(a=>Ne(Number(a))));t>0&&!e.has(t)&&e.add(t);let i=Array.from(e).sort((a,r)=>a-r);for(let a of i){let r=ht({type:"radio",text:this.formatMenuItemText(`${a}x`,a),value:a.toString(),checked:t===a});r.prepend(Ye(this,"checked-indicator")),this.defaultSlot.append(r)}};jr=new WeakSet;$s=function(){if(!this.value)return;let t=new l.CustomEvent(h.MEDIA_PLAYBACK_RATE_REQUEST,{composed:!0,bubbles:!0,detail:this.value});this.dispatchEvent(t)};l.customElements.get("media-playback-rate-menu")||l.customElements.define("media-playback-rate-menu",Vs);var en=1;function Ru(t){return`
    <style>
      :host {
        min-width: 5ch;
        padding: var(--media-button-padding, var(--media-control-padding, 10px 5px));
      }

      :host([aria-expanded="true"]) slot {
        display: block;
      }

      :host([aria-expanded="true"]) slot[name=tooltip] {
        display: none;
      }
    </style>
    <slot name="icon">${t.mediaplaybackrate?Ne(+t.mediaplaybackrate):en}x</slot>
  `}function Du(){return v("Playback rate")}var fa=class extends Qe{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_PLAYBACK_RATE]}constructor(){var e;super(),this.container=this.shadowRoot.querySelector('slot[name="icon"]'),this.container.innerHTML=`${Ne((e=this.mediaPlaybackRate)!=null?e:en)}x`}attributeChangedCallback(e,i,a){if(super.attributeChangedCallback(e,i,a),e===s.MEDIA_PLAYBACK_RATE){let r=a?+a:Number.NaN,n=Ne(Number.isNaN(r)?en:r);this.container.innerHTML=`${n}x`,this.setAttribute("aria-label",v("Playback rate {playbackRate}",{playbackRate:n}))}}get invokeTargetElement(){return this.invokeTarget!=null?super.invokeTargetElement:j(this).querySelector("media-playback-rate-menu")}get mediaPlaybackRate(){return P(this,s.MEDIA_PLAYBACK_RATE,en)}set mediaPlaybackRate(e){N(this,s.MEDIA_PLAYBACK_RATE,e)}};fa.getSlotTemplateHTML=Ru;fa.getTooltipContentHTML=Du;l.customElements.get("media-playback-rate-menu-button")||l.customElements.define("media-playback-rate-menu-button",fa);var qs=(t,e,i)=>{if(!e.has(t))throw TypeError("Cannot "+i)},Ze=(t,e,i)=>(qs(t,e,"read from private field"),i?i.call(t):e.get(t)),tn=(t,e,i)=>{if(e.has(t))throw TypeError("Cannot add the same private member more than once");e instanceof WeakSet?e.add(t):e.set(t,i)},Ad=(t,e,i,a)=>(qs(t,e,"write to private field"),a?a.call(t,i):e.set(t,i),i),Ai=(t,e,i)=>(qs(t,e,"access private method"),i),ga,He,Ti,_a,an,Ks,Gs=class extends ve{constructor(){super(...arguments),tn(this,Ti),tn(this,an),tn(this,ga,[]),tn(this,He,{})}static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_RENDITION_LIST,s.MEDIA_RENDITION_SELECTED,s.MEDIA_RENDITION_UNAVAILABLE,s.MEDIA_HEIGHT,s.MEDIA_WIDTH]}static formatMenuItemText(e,i){return super.formatMenuItemText(e,i)}static formatRendition(e,{showBitrate:i=!1}={}){let a=`${Math.min(e.width,e.height)}p`;if(i&&e.bitrate){let r=e.bitrate/1e6,n=`${r.toFixed(r<1?1:0)} Mbps`;return`${a} (${n})`}return this.formatMenuItemText(a,e)}static compareRendition(e,i){var a,r;return i.height===e.height?((a=i.bitrate)!=null?a:0)-((r=e.bitrate)!=null?r:0):i.height-e.height}attributeChangedCallback(e,i,a){if(super.attributeChangedCallback(e,i,a),i!==a)switch(e){case s.MEDIA_RENDITION_SELECTED:this.value=a??"auto",Ai(this,Ti,_a).call(this);break;case s.MEDIA_RENDITION_LIST:Ad(this,ga,qo(a)),Ai(this,Ti,_a).call(this);break;case s.MEDIA_HEIGHT:case s.MEDIA_WIDTH:Ai(this,Ti,_a).call(this);break}}connectedCallback(){super.connectedCallback(),this.addEventListener("change",Ai(this,an,Ks))}disconnectedCallback(){super.disconnectedCallback(),this.removeEventListener("change",Ai(this,an,Ks))}get anchorElement(){return this.anchor!=="auto"?super.anchorElement:j(this).querySelector("media-rendition-menu-button")}get mediaRenditionList(){return Ze(this,ga)}set mediaRenditionList(e){Ad(this,ga,e),Ai(this,Ti,_a).call(this)}get mediaRenditionSelected(){return R(this,s.MEDIA_RENDITION_SELECTED)}set mediaRenditionSelected(e){L(this,s.MEDIA_RENDITION_SELECTED,e)}get mediaHeight(){return P(this,s.MEDIA_HEIGHT)}set mediaHeight(e){N(this,s.MEDIA_HEIGHT,e)}get mediaWidth(){return P(this,s.MEDIA_WIDTH)}set mediaWidth(e){N(this,s.MEDIA_WIDTH,e)}compareRendition(e,i){return this.constructor.compareRendition(e,i)}formatMenuItemText(e,i){return this.constructor.formatMenuItemText(e,i)}formatRendition(e,i){return this.constructor.formatRendition(e,i)}showRenditionBitrate(e){return this.mediaRenditionList.some(i=>i!==e&&i.height===e.height&&i.bitrate!==e.bitrate)}};ga=new WeakMap;He=new WeakMap;Ti=new WeakSet;_a=function(){let t=!this.mediaRenditionSelected;if(Ze(this,He).mediaRenditionList===JSON.stringify(this.mediaRenditionList)&&Ze(this,He).mediaHeight===this.mediaHeight&&Ze(this,He).mediaWidth===this.mediaWidth&&Ze(this,He).isAuto===t)return;Ze(this,He).mediaRenditionList=JSON.stringify(this.mediaRenditionList),Ze(this,He).mediaHeight=this.mediaHeight,Ze(this,He).mediaWidth=this.mediaWidth,Ze(this,He).isAuto=t;let e=this.mediaRenditionList.sort(this.compareRendition.bind(this)),i=e.find(o=>o.id===this.mediaRenditionSelected);for(let o of e)o.selected=o===i;this.defaultSlot.textContent="";for(let o of e){let d=this.formatRendition(o,{showBitrate:this.showRenditionBitrate(o)}),c=ht({type:"radio",text:d,value:`${o.id}`,checked:o.selected&&!t});c.prepend(Ye(this,"checked-indicator")),this.defaultSlot.append(c)}let a=i&&this.showRenditionBitrate(i),r;t&&(i?r=this.formatMenuItemText(`${v("Auto")} \u2022 ${this.formatRendition(i,{showBitrate:a})}`,i):this.mediaHeight>0&&this.mediaWidth>0&&(r=this.formatMenuItemText(`${v("Auto")} (${Math.min(this.mediaWidth,this.mediaHeight)}p)`))),r||(r=this.formatMenuItemText(v("Auto")));let n=ht({type:"radio",text:r,value:"auto",checked:t});n.dataset.description=r,n.prepend(Ye(this,"checked-indicator")),this.defaultSlot.append(n)};an=new WeakSet;Ks=function(){if(this.value==null)return;let t=new l.CustomEvent(h.MEDIA_RENDITION_REQUEST,{composed:!0,bubbles:!0,detail:this.value});this.dispatchEvent(t)};l.customElements.get("media-rendition-menu")||l.customElements.define("media-rendition-menu",Gs);var Cu=`<svg aria-hidden="true" viewBox="0 0 24 24">
  <path d="M13.5 2.5h2v6h-2v-2h-11v-2h11v-2Zm4 2h4v2h-4v-2Zm-12 4h2v6h-2v-2h-3v-2h3v-2Zm4 2h12v2h-12v-2Zm1 4h2v6h-2v-2h-8v-2h8v-2Zm4 2h7v2h-7v-2Z" />
</svg>`;function xu(){return`
    <style>
      :host([aria-expanded="true"]) slot[name=tooltip] {
        display: none;
      }
    </style>
    <slot name="icon">${Cu}</slot>
  `}function Uu(){return v("Quality")}var ba=class extends Qe{static get observedAttributes(){return[...super.observedAttributes,s.MEDIA_RENDITION_SELECTED,s.MEDIA_RENDITION_UNAVAILABLE,s.MEDIA_HEIGHT]}connectedCallback(){super.connectedCallback(),this.setAttribute("aria-label",v("quality"))}get invokeTargetElement(){return this.invokeTarget!=null?super.invokeTargetElement:j(this).querySelector("media-rendition-menu")}get mediaRenditionSelected(){return R(this,s.MEDIA_RENDITION_SELECTED)}set mediaRenditionSelected(e){L(this,s.MEDIA_RENDITION_SELECTED,e)}get mediaHeight(){return P(this,s.MEDIA_HEIGHT)}set mediaHeight(e){N(this,s.MEDIA_HEIGHT,e)}};ba.getSlotTemplateHTML=xu;ba.getTooltipContentHTML=Uu;l.customElements.get("media-rendition-menu-button")||l.customElements.define("media-rendition-menu-button",ba);
