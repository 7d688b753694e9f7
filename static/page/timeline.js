// timeline.js - the page that is the timeline and nothing else.

import { formatHash } from '../url.js';
import { saveHtml } from '../view/export.js';
import { Timeline } from '../view/timeline.js';

/** @type {import('../app.js').Page} */
export function timelinePage(app, params) {
    const link = app.link();
    const timeline = new Timeline(app.needModel(), { link, params, save: app.carried || !app.loading ? undefined : ((source) => () => saveHtml(source))(app.loading.source), keep: (view) => app.replace(formatHash('timeline', { ...link, ...view })) });
    return {
        node: timeline.node,
        title: 'Timeline',
        grown: () => timeline.grown(),
        shown: () => timeline.body.focus({ preventScroll: true }),
        destroy: () => timeline.destroy(),
    };
}
